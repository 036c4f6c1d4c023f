package jose

// Limits bound what is read, before work is spent on it. A field that is zero or
// negative means the field of [DefaultLimits].
type Limits struct {
	// TokenBytes is the length of a compact token.
	TokenBytes int
	// HeaderBytes is the length of the decoded header.
	HeaderBytes int
	// SetBytes is the length of a JWK Set or JWK document.
	SetBytes int
	// Keys is the number of elements in the "keys" array.
	Keys int
	// JSONDepth is how deeply objects and arrays may nest; the outermost is 1.
	JSONDepth int
	// JSONMembers is the number of members of one object.
	JSONMembers int
	// StringBytes is the length of one JSON string or member name.
	StringBytes int
}

// DefaultLimits returns limits that the largest honest tokens and sets pass with
// room: an ML-DSA-87 token is under 8 KiB, its certificate under 16 KiB.
func DefaultLimits() Limits {
	return Limits{
		TokenBytes:  32 << 10,
		HeaderBytes: 8 << 10,
		SetBytes:    1 << 20,
		Keys:        256,
		JSONDepth:   8,
		JSONMembers: 64,
		StringBytes: 32 << 10,
	}
}

// withDefaults fills what is not set.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct {
		field    *int
		fallback int
	}{
		{&l.TokenBytes, d.TokenBytes},
		{&l.HeaderBytes, d.HeaderBytes},
		{&l.SetBytes, d.SetBytes},
		{&l.Keys, d.Keys},
		{&l.JSONDepth, d.JSONDepth},
		{&l.JSONMembers, d.JSONMembers},
		{&l.StringBytes, d.StringBytes},
	} {
		if *f.field <= 0 {
			*f.field = f.fallback
		}
	}
	return l
}
