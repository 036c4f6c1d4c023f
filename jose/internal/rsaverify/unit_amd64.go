package rsaverify

import "golang.org/x/sys/cpu"

// supported reports whether the processor and the system can run u. The flag of IFMA
// is set only if the system saves the AVX-512 registers.
func supported(u unit) bool {
	switch u {
	case unitIFMA:
		return cpu.X86.HasAVX512F && cpu.X86.HasAVX512IFMA && cpu.X86.HasBMI2
	case unitADX:
		return cpu.X86.HasADX && cpu.X86.HasBMI2
	default:
		return true
	}
}

func fastest() unit {
	switch {
	case supported(unitIFMA):
		return unitIFMA
	case supported(unitADX):
		return unitADX
	default:
		return portable
	}
}

// mul sets z = xy/R mod n as far as the radix has it reduced; z is neither x nor y.
func (f *field) mul(z, x, y *limbs) {
	switch f.unit {
	case unitIFMA:
		f.mulIFMA(z, x, y)
	case unitADX:
		f.mulADX(z, x, y)
	default:
		f.mulWide(z, x, y)
	}
}

func (f *field) mulIFMA(z, x, y *limbs) {
	switch f.count {
	case 40:
		mulIFMA40(z, x, y, &f.n, f.k0)
	case 60:
		mulIFMA60(z, x, y, &f.n, f.k0)
	default:
		mulIFMA80(z, x, y, &f.n, f.k0)
	}
}

func (f *field) mulADX(z, x, y *limbs) {
	*z = limbs{}
	var top uint64
	switch f.count {
	case 32:
		top = mulADX32(z, x, y, &f.n, f.k0)
	case 48:
		top = mulADX48(z, x, y, &f.n, f.k0)
	default:
		top = mulADX64(z, x, y, &f.n, f.k0)
	}
	if top != 0 {
		f.subtract(z)
	}
}
