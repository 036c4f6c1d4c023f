package claims

import "strings"

// Name is how a configuration names one claim. A claim of exactly that name is meant; if the payload has none, the [Path] that the name is as well.
type Name struct {
	path Path
	// nested says that the name is more than the name of one claim.
	nested bool
}

// ParseName reads a name. The error is ErrPathTooLong.
func ParseName(text string) (Name, error) {
	path, err := ParsePath(text)
	return Name{path: path, nested: strings.ContainsAny(text, `.\`)}, err
}

// String returns the text that the name was read from.
func (n Name) String() string { return n.path.text }

// Find returns the claim that is meant, or an Absent value. It allocates nothing.
func (s *Set) Find(n Name) Value {
	if n.nested {
		if v := s.Get(n.path.text); v.Kind() != Absent {
			return v
		}
	}
	return s.Lookup(n.path)
}
