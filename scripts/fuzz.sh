#!/usr/bin/env bash
# Runs every fuzz target of the module for a while each.
#
#   FUZZTIME=1m scripts/fuzz.sh            # all
#   scripts/fuzz.sh ./internal/config      # those of one package
set -euo pipefail
cd "$(dirname "$0")/.."

readonly fuzztime=${FUZZTIME:-10s}
where=("${@:-.}")

count=0
while IFS=: read -r file name; do
  [[ -n "$file" ]] || continue
  printf 'fuzz %s in %s for %s\n' "$name" "$(dirname "$file")" "$fuzztime"
  go test -run '^$' -fuzz "^${name}\$" -fuzztime "$fuzztime" "./$(dirname "${file#./}")"
  count=$((count + 1))
done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' "${where[@]}" | sed 's/:func /:/' | sort)

if [[ $count -eq 0 ]]; then
  echo "no fuzz targets in ${where[*]}" >&2
  exit 1
fi
echo "fuzz: $count targets"
