package deploy

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/aftershock/aftershock/publish"
)

// TestDestinationsListsEveryKeyOfAWebhook holds the table of docs/destinations.md against the type.
func TestDestinationsListsEveryKeyOfAWebhook(t *testing.T) {
	text, err := os.ReadFile("../docs/destinations.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "| key | meaning |\n|---|---|\n"
	for f := range reflect.TypeFor[publish.WebhookConfig]().Fields() {
		want += fmt.Sprintf("| `%s` | %s |\n", f.Tag.Get("yaml"), f.Tag.Get("doc"))
	}
	if !strings.Contains(string(text), want+"\n") {
		t.Errorf("docs/destinations.md has not this table:\n%s", want)
	}
}
