package native

import "reflect"

// SetDefaults fills the struct that target points to, and the structs inside it, with what a configuration that leaves everything out means.
func SetDefaults(target any) { setDefaults(reflect.ValueOf(target).Elem()) }

// setDefaults goes from the inside out, so that an outer struct can have other defaults for a part than the part itself.
func setDefaults(v reflect.Value) {
	for i := range v.NumField() {
		if f := v.Field(i); isPlainStruct(f.Type()) && v.Type().Field(i).IsExported() {
			setDefaults(f)
		}
	}
	if d, ok := v.Addr().Interface().(interface{ SetDefaults() }); ok {
		d.SetDefaults()
	}
}

// isPlainStruct reports whether the type is a mapping in a document, as opposed to a struct that is written as one value.
func isPlainStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != secretType && t != prefixType && t != originType
}
