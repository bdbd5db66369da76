package kafka

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

const oldestJava = 17 // Kafka 4's brokers ask for it

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// Available tells whether this machine can run Kafka, and if not, why: it needs
// Java 17 or later, and Maven unless Kafka was fetched before.
func Available() (ok bool, reason string) {
	said, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return false, fmt.Sprintf("real Kafka needs Java %d or later: java -version: %v: try to install one", oldestJava, err)
	}
	found := javaVersion.FindSubmatch(said)
	if found == nil {
		return false, fmt.Sprintf("real Kafka needs Java %d or later: java -version says %q", oldestJava, said)
	}
	if version, err := strconv.Atoi(string(found[1])); err != nil || version < oldestJava {
		return false, fmt.Sprintf("real Kafka needs Java %d or later, here is %s: try to install one", oldestJava, found[1])
	}
	if _, ok := broker.fetched(); ok {
		return true, ""
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return false, fmt.Sprintf("real Kafka is fetched by Maven: %v: try to install it", err)
	}
	return true, ""
}
