//go:build !amd64

package rsaverify

func supported(u unit) bool { return u == portable }

func fastest() unit { return portable }

func (f *field) mul(z, x, y *limbs) { f.mulWide(z, x, y) }
