package snapshot_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store/snapshot"
)

// child names the file that this process is to write again and again until it is killed.
const child = "JOTGATE_TEST_SNAPSHOT"

func TestMain(m *testing.M) {
	if path := os.Getenv(child); path != "" {
		fmt.Println("error:", writeUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled writes snapshots of a growing number, and says which ones are written.
func writeUntilKilled(path string) error {
	f, err := snapshot.Open(path, time.Hour, quiet)
	if err != nil {
		return err
	}
	n := 0
	save := func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat(fmt.Sprintf("%06d ", n), 50_000))
		return err
	}
	if err := f.Section("number", save, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }); err != nil {
		return err
	}
	f.Start()
	for ; ; n++ {
		if err := f.Write(); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// Whenever a process is killed, the file is a whole snapshot, no older than the last one that was written.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	for round := range 4 {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), child+"="+path)
		out, err := process.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatalf("the other process: %s", lines.Text())
			}
			last = n
			if n == 3+round {
				time.AfterFunc(time.Duration(round)*time.Millisecond, func() { _ = process.Process.Kill() })
			}
		}
		_ = process.Wait()
		f := open(t, path)
		number := &owner{}
		section(t, f, "number", number)
		words := strings.Fields(number.text)
		if len(words) != 50_000 {
			t.Fatalf("round %d: %d words", round, len(words))
		}
		if n, err := strconv.Atoi(words[0]); err != nil || n < last || words[0] != words[len(words)-1] {
			t.Errorf("round %d: %s to %s were there after %d was written", round, words[0], words[len(words)-1], last)
		}
	}
}
