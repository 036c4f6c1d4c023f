package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// machine is what is told of the machine: what matters for the figures, and nothing by which it could be found.
type machine struct {
	Processor string   `json:"processor"`
	Cores     int      `json:"cores"`
	Flags     []string `json:"flags"` // of those in tellingFlags
	Kernel    string   `json:"kernel"`
	Go        string   `json:"go"`
	Peers     []string `json:"peers"` // names and versions
}

// tellingFlags are the processor features that cryptography is written for.
var tellingFlags = []string{"adx", "aes", "avx2", "avx512f", "avx512ifma", "bmi2", "sha_ni", "vaes"}

// ifma reports whether the processor has the vector instructions for which the target of unseen RS256 tokens is lower.
func (m machine) ifma() bool { return slices.Contains(m.Flags, "avx512ifma") }

func describeMachine(programs map[string]string) (machine, error) {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	m.Processor, m.Flags = parseProcessor(string(text))
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, err
	}
	m.Kernel = regexp.MustCompile(`^\d+(\.\d+)*`).FindString(string(release))
	for _, peer := range []struct{ name, flag string }{{kindHAProxy, "-v"}, {kindNginx, "-v"}, {"wrk", "-v"}} {
		if programs[peer.name] == "" {
			continue
		}
		output, _ := exec.Command(programs[peer.name], peer.flag).CombinedOutput() // wrk ends with a status of 1
		if version := regexp.MustCompile(`\d+\.\d+(\.\d+)?`).FindString(string(output)); version != "" {
			m.Peers = append(m.Peers, peer.name+" "+version)
		}
	}
	return m, nil
}

// parseProcessor reads the name and the telling flags of the first processor in /proc/cpuinfo.
func parseProcessor(text string) (name string, flags []string) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			if name != "" && flags != nil {
				break
			}
			continue
		}
		switch strings.TrimSpace(key) {
		case "model name":
			name = strings.TrimSpace(value)
		case "flags":
			all := strings.Fields(value)
			flags = slices.DeleteFunc(slices.Clone(tellingFlags), func(f string) bool { return !slices.Contains(all, f) })
		}
	}
	return name, flags
}

// String is the machine in one sentence.
func (m machine) String() string {
	name := m.Processor
	if name == "" {
		name = runtime.GOARCH
	}
	return fmt.Sprintf("%s, %d processors (%s), Linux %s, %s; %s", name, m.Cores, strings.Join(m.Flags, " "), m.Kernel, m.Go, strings.Join(m.Peers, ", "))
}
