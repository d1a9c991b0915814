#!/usr/bin/env bash
# Every check that runs nothing of the product. Goes on after a failure and ends with the list of what failed.
set -uo pipefail
cd "$(dirname "$0")/.."
export UV_PYTHON_DOWNLOADS=never
failed=()
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    printf '  ok      %s\n' "$name"
  else
    printf '  FAILED  %s\n%s\n' "$name" "$(tail -n 60 <<<"$output")"
    failed+=("$name")
  fi
}

tracked() { git ls-files -z --cached --others --exclude-standard -- "$@" | while IFS= read -r -d '' f; do [[ -f $f ]] && printf '%s\0' "$f"; done; }

no_addresses_in_locks() { ! grep -nH '://' requirements/*.txt; }

# The names are put together here so that this file does not contain them.
no_registry_hosts() {
  local dot='[.]' names
  names="(pypi${dot}org|pythonhosted${dot}org|registry${dot}npmjs|index${dot}docker|ghcr${dot}io|quay${dot}io|gcr${dot}io"
  names+="|--index-url +http|--extra-index-url|--trusted-host)"
  ! tracked | xargs -0 grep -nHIE "$names" -- | grep -v '^deploy/check.sh:'
}

no_secrets() {
  local begin='-----BEGIN' pattern
  pattern="($begin [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abpr]-[A-Za-z0-9-]{20}"
  pattern+="|eyJ[A-Za-z0-9_-]{20,}[.]eyJ[A-Za-z0-9_-]{20,}[.])"
  ! tracked | xargs -0 grep -nHIE -e "$pattern" -- | grep -v '^deploy/check.sh:'
}

no_local_paths() { ! tracked | xargs -0 grep -nHIE '(/work/(main|shared)|shared/design/)' -- | grep -v '^deploy/check.sh:'; }

shell_scripts() {
  tracked | while IFS= read -r -d '' file; do
    [[ $file == *.sh ]] && { printf '%s\0' "$file"; continue; }
    IFS= read -r first <"$file" 2>/dev/null || continue
    [[ $first =~ ^#!.*(/| )(sh|bash)$ ]] && printf '%s\0' "$file"
  done 2>/dev/null
}

check "ruff" ruff check .
check "ruff format" ruff format --check .
check "mypy --strict" mypy .
check "import contracts" lint-imports
check "bandit" bandit -q -r -c pyproject.toml user_api pay_api billing_api admin_panel scheduler shared deploy
check "shellcheck" bash -c 'shellcheck "$@"' shellcheck $(shell_scripts | tr '\0' ' ')
check "hadolint" hadolint deploy/docker/Dockerfile
check "yamllint" yamllint -c deploy/yamllint.yml -s docker-compose.yml deploy
check "no addresses in requirements/*.txt" no_addresses_in_locks
check "no registry hosts" no_registry_hosts
check "no secrets" no_secrets
check "no paths of one machine" no_local_paths
if docker compose version >/dev/null 2>&1; then
  check "docker compose config" docker compose config -q
  check "docker compose config (development)" docker compose -f docker-compose.yml -f deploy/compose.dev.yml config -q
else
  printf '  NOT RUN docker compose config (no docker compose on this machine)\n'
fi

if ((${#failed[@]})); then
  printf '\nfailed: %s\n' "$(IFS=,; echo "${failed[*]}")" >&2
  exit 1
fi
printf '\nall checks passed\n'
