package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

//go:embed version.sql
var serverVersion string

// libraries are those whose speed is measured here, too.
var libraries = []string{
	"github.com/ClickHouse/ch-go",
	"github.com/ClickHouse/clickhouse-go/v2",
	"github.com/govalues/decimal",
	"github.com/segmentio/kafka-go",
	"github.com/twmb/franz-go",
	"github.com/twmb/franz-go/pkg/kfake",
}

func (s *servers) printMachine(ctx context.Context) error {
	version, err := s.sql(ctx, "default", serverVersion, nil)
	if err != nil {
		return fmt.Errorf("asking ClickHouse for its version: %w", err)
	}
	fmt.Printf("machine: %s, %d processors, memory %s, %s/%s, kernel %s\n", field("/proc/cpuinfo", "model name"), runtime.NumCPU(),
		field("/proc/meminfo", "MemTotal"), runtime.GOOS, runtime.GOARCH, firstLine("/proc/sys/kernel/osrelease"))
	fmt.Printf("load average at the start: %s\n", loadAverage())
	fmt.Printf("versions: %s, ClickHouse %s (embedded)", runtime.Version(), strings.TrimSpace(version))
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if slices.Contains(libraries, m.Path) {
				fmt.Printf(", %s %s", strings.TrimPrefix(m.Path, "github.com/"), m.Version)
			}
		}
	}
	fmt.Println("\nClickHouse, broker and pipeline share this machine; each is a process of its own.")
	return nil
}

func loadAverage() string {
	fields := strings.Fields(firstLine("/proc/loadavg"))
	return strings.Join(fields[:min(len(fields), 3)], " ")
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// field reads a line `name: value` of a file of the system.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// peakMemory is the most memory that this process ever had resident, in bytes; 0 where the system does not say.
func peakMemory() int64 {
	var kilobytes int64
	if _, err := fmt.Sscan(field("/proc/self/status", "VmHWM"), &kilobytes); err != nil {
		return 0
	}
	return kilobytes << 10
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processorTimeOf is what another process has used so far; 0 where the system does not say.
func processorTimeOf(pid int) time.Duration {
	line := firstLine(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(line, ") ") // the name before it may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var user, system int64 // in ticks, of which Linux shows a hundred a second
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0
	}
	return time.Duration(user+system) * time.Second / 100
}
