#!/bin/bash
# Looks for known vulnerabilities that the program can reach, with a pinned govulncheck, and fails where there is one. Says which
# database it asked and how old that is. Where the database cannot be reached nothing is checked: it says so and does not fail, for
# no build may depend on somebody else's server; a copy can be named instead: GOVULNDB=file:///path/to/vulndb.
set -uo pipefail
version=v1.9.0
database=${GOVULNDB:-https://vuln.go.dev}
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

GOBIN=$tools go install "golang.org/x/vuln/cmd/govulncheck@$version" || { echo "vulncheck: govulncheck $version cannot be built" >&2; exit 1; }
said=$("$tools/govulncheck" -db "$database" -show version "${@:-./...}" 2>&1)
code=$?
case $code in
0) echo "$said"; echo "vulncheck: no known vulnerability can be reached" ;;
3) echo "$said"; echo "vulncheck: a known vulnerability can be reached: see above" >&2; exit 1 ;;
*)
	# Of one that is not the usual one it says "unrecognized" when there is no answer.
	if [[ $database == http* ]] && reason=$(grep -m1 -E 'fetching vulnerabilities: |unrecognized vulndb format' <<<"$said"); then
		echo "vulncheck: NOT CHECKED: the database $database cannot be reached: $reason"
		exit 0
	fi
	echo "$said" >&2
	exit 1
	;;
esac
