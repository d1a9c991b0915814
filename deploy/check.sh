#!/usr/bin/env bash
# Every check that runs nothing of the product. Goes on after a failure and ends with the list of what failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export UV_PYTHON_DOWNLOADS=never
failed=() not_run=()
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

mapfile -d '' -t files < <(git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  [[ -f $file && $file != deploy/check.sh ]] && printf '%s\0' "$file"
done)

# Fails, showing the lines, when any tracked file but this one has the pattern.
absent() {
  local found
  found=$(printf '%s\0' "${files[@]}" | xargs -0 grep -nHIE -e "$1" -- || true)
  [[ -z $found ]] || { printf '%s\n' "$found"; return 1; }
}

no_addresses_in_locks() { ! grep -nH '://' requirements/*.txt; }

# The names are put together here so that no file contains them.
no_registry_hosts() {
  local dot='[.]' names
  names="(pyp""i${dot}org|pythonhost""ed${dot}org|regis""try${dot}npmjs|index${dot}docker|ghcr${dot}io|quay${dot}io|gcr${dot}io"
  names+="|--index-url +http|--extra-index-url|--trusted-host)"
  absent "$names"
}

no_secrets() {
  local begin='-----BEGIN' pattern
  pattern="($begin [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abpr]-[A-Za-z0-9-]{20}"
  pattern+="|eyJ[A-Za-z0-9_-]{20,}[.]eyJ[A-Za-z0-9_-]{20,}[.])"
  absent "$pattern"
}

no_local_paths() { absent '(/wo''rk/(main|shared)|shared/desi''gn/)'; }

shell_scripts=()
for file in "${files[@]}"; do
  first=
  IFS= read -r first 2>/dev/null <"$file" || true
  if [[ $file == *.sh || $first =~ ^#!.*(/| )(sh|bash)$ ]]; then shell_scripts+=("$file"); fi
done 2>/dev/null

check "ruff" ruff check .
check "ruff format" ruff format --check .
check "mypy --strict" mypy .
check "import contracts" lint-imports
# ruff's S rules are bandit's, with a reason at each exception; these are the ones excepted there
check "bandit" bandit -q -ll -r -s B104,B108,B310,B411,B608 \
  user_api pay_api billing_api admin_panel scheduler shared deploy
check "shellcheck" shellcheck "${shell_scripts[@]}"
check "hadolint" hadolint deploy/docker/Dockerfile
check "yamllint" yamllint -c deploy/yamllint.yml -s docker-compose.yml deploy
migrations=$(mktemp -d)
trap 'rm -rf "$migrations"' EXIT
lint_migrations() {
  python -m tests.migration_sql "$migrations" && squawk --config deploy/squawk.toml "$migrations"/*.sql
}
# every migration's SQL; Django tells it only with a server, which a machine without rights may lack
if ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || [[ $(id -u) == 0 && ${NO_APT:-} != 1 ]]; then
  check "migrations (squawk)" lint_migrations
else
  printf '  NOT RUN migrations (squawk): no Postgres here; install with: sudo apt-get install postgresql\n'
  not_run+=("migrations")
fi
check "no addresses in requirements/*.txt" no_addresses_in_locks
check "no registry hosts" no_registry_hosts
check "no secrets" no_secrets
check "no paths of one machine" no_local_paths
# advisories are on the internet: where they cannot be reached, nothing is audited, and that is said
audit() {
  local lock arguments=() output
  for lock in requirements/*.txt; do arguments+=(-r "$lock"); done
  if output=$(pip-audit --strict --progress-spinner off --disable-pip --require-hashes "${arguments[@]}" 2>&1); then
    printf '  ok      known vulnerabilities (pip-audit)\n'
  elif grep -qE '^Found [0-9]+ known vulnerabilit' <<<"$output"; then
    printf '  FAILED  known vulnerabilities (pip-audit)\n%s\n' "$(tail -n 60 <<<"$output")"
    failed+=("known vulnerabilities")
  else
    not_audited "no advisories can be reached from here"
  fi
}
not_audited() {
  printf '  NOT RUN known vulnerabilities: not audited (%s)\n' "$1"
  not_run+=("known vulnerabilities")
}
if command -v pip-audit >/dev/null; then audit; else not_audited "no pip-audit on this machine"; fi
if docker compose version >/dev/null 2>&1; then
  check "docker compose config" docker compose config -q
  check "docker compose config (development)" docker compose -f docker-compose.yml -f deploy/compose.dev.yml config -q
else
  printf '  NOT RUN docker compose config (no docker compose on this machine)\n'
  not_run+=("docker compose config")
fi

if ((${#failed[@]})); then
  printf '\nfailed: %s\n' "$(IFS=,; echo "${failed[*]}")" >&2
  exit 1
fi
if ((${#not_run[@]})); then
  printf '\nall other checks passed; not run: %s\n' "$(IFS=,; echo "${not_run[*]}")"
else
  printf '\nall checks passed\n'
fi
