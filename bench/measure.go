package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// stat is what is used of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	pid, parent  int
	user, system uint64 // clock ticks of all threads, ended ones too
}

// parseStat reads a line of /proc/PID/stat. The second field is the name of the program in parentheses and may itself hold spaces and parentheses, so the
// fields after it are counted from the last one.
func parseStat(line string) (stat, error) {
	before, _, _ := strings.Cut(line, " ")
	pid, err := strconv.Atoi(before)
	if err != nil {
		return stat{}, fmt.Errorf("reading the process id of %q: %w", line, err)
	}
	at := strings.LastIndexByte(line, ')')
	if at < 0 {
		return stat{}, fmt.Errorf("no program name in %q", line)
	}
	fields := strings.Fields(line[at+1:])
	const parent, user, system = 1, 11, 12 // fields 4, 14 and 15 of the page, which counts from 1 and the first two
	if len(fields) <= system {
		return stat{}, fmt.Errorf("%d fields after the program name in %q", len(fields), line)
	}
	s := stat{pid: pid}
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return stat{}, fmt.Errorf("reading the parent of process %d: %w", pid, err)
	}
	if s.user, err = strconv.ParseUint(fields[user], 10, 64); err != nil {
		return stat{}, fmt.Errorf("reading the user time of process %d: %w", pid, err)
	}
	if s.system, err = strconv.ParseUint(fields[system], 10, 64); err != nil {
		return stat{}, fmt.Errorf("reading the system time of process %d: %w", pid, err)
	}
	return s, nil
}

// tree returns the process and everything below it, ordered by process id.
func tree(root int) ([]stat, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := make(map[int]stat, len(paths))
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // the process has ended
		}
		s, err := parseStat(string(line))
		if err != nil {
			return nil, err
		}
		all[s.pid] = s
	}
	if _, ok := all[root]; !ok {
		return nil, fmt.Errorf("process %d has ended", root)
	}
	var found []stat
	for _, s := range all {
		for at := s; ; at = all[at.parent] {
			if at.pid == root {
				found = append(found, s)
				break
			}
			if _, ok := all[at.parent]; !ok {
				break
			}
		}
	}
	slices.SortFunc(found, func(a, b stat) int { return a.pid - b.pid })
	return found, nil
}

// usage is the CPU time of a tree of processes since they began.
type usage struct {
	pids         []int
	total        time.Duration // exact
	user, system uint64        // clock ticks: good for the ratio of the two
}

// usageOf adds up the CPU time of a process and everything below it. The total is read from the processes' CPU clocks: it is the same sum as utime and stime
// in /proc/PID/stat, without their rounding to clock ticks of 10 ms.
func usageOf(root int) (usage, error) {
	processes, err := tree(root)
	if err != nil {
		return usage{}, err
	}
	var u usage
	for _, p := range processes {
		used, err := cpuClock(p.pid)
		if err != nil {
			return usage{}, fmt.Errorf("reading the CPU clock of process %d: %w", p.pid, err)
		}
		u.pids = append(u.pids, p.pid)
		u.total += used
		u.user += p.user
		u.system += p.system
	}
	return u, nil
}

// since returns what was used after before. It is an error if a process came or went, since its time would be missing.
func (u usage) since(before usage) (usage, error) {
	if !slices.Equal(u.pids, before.pids) {
		return usage{}, fmt.Errorf("the processes %v became %v during the measurement", before.pids, u.pids)
	}
	return usage{pids: u.pids, total: u.total - before.total, user: u.user - before.user, system: u.system - before.system}, nil
}

// userShare is the part of the time that was spent outside of the kernel. It is not known if it was so short that the clock ticks are too coarse.
func (u usage) userShare() (share float64, ok bool) {
	const enough = 20
	if u.user+u.system < enough {
		return 0, false
	}
	return float64(u.user) / float64(u.user+u.system), true
}

// cpuClock reads the CPU time that all threads of a process have used (clock_getcpuclockid(3)).
func cpuClock(pid int) (time.Duration, error) {
	const schedulerClock = 2 // of a whole process; the bit for a single thread is 4
	clock := int32(^pid)<<3 | schedulerClock
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, errno
	}
	return time.Duration(ts.Nano()), nil
}

// parsePSS returns the proportional set size in bytes that /proc/PID/smaps_rollup states.
func parsePSS(text []byte) (int64, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading the proportional set size: %w", err)
			}
			return kilobytes << 10, nil
		}
	}
	return 0, errors.New("no proportional set size stated")
}

// pssOf adds up the memory of a process and everything below it.
func pssOf(root int) (int64, error) {
	processes, err := tree(root)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, p := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.pid))
		if err != nil {
			return 0, fmt.Errorf("reading the memory of process %d: %w", p.pid, err)
		}
		size, err := parsePSS(text)
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", p.pid, err)
		}
		sum += size
	}
	return sum, nil
}

// machineBusy returns the CPU time that all processes of the machine have used, in clock ticks: the first line of /proc/stat without idle, iowait and steal.
func machineBusy() (uint64, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusy(string(text))
}

func parseBusy(text string) (uint64, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("not the line of all processors: %q", line)
	}
	var sum uint64
	for i, field := range fields[1:8] {
		const idle, iowait = 3, 4
		if i == idle || i == iowait {
			continue
		}
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the time of all processors: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// tick is the unit of the times in /proc. It is 10 ms on every machine that Linux supports with Go (getconf CLK_TCK).
const tick = 10 * time.Millisecond
