package embedded

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// parentEnv makes this test binary a program that starts ClickHouse and hangs:
// what a test can kill.
const parentEnv = "AFTERSHOCK_TEST_PARENT"

// deadline bounds everything that a test waits for.
const deadline = time.Minute

func TestMain(m *testing.M) {
	ChildMain()
	if dir := os.Getenv(parentEnv); dir != "" {
		ch, err := StartClickHouse(context.Background(), ClickHouseOptions{DataDir: dir})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(ch.Addr())
		<-time.After(deadline)
	}
	os.Exit(m.Run())
}
