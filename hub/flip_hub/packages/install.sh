#!/bin/sh
# Installs flip-agent from the hub's repository and enrols this machine. Safe to run again.
#
#   sudo sh flip-install.sh --hub URL --token T [--ca-sha256 HEX] [--name NAME] [--version V]
#
# --ca-sha256 is the fingerprint of the hub's authority: what is not certified by it is not believed. Without it the
# hub's certificate must be of an authority that this machine knows.
set -eu

fail() { echo "flip-install: $*" >&2; exit 1; }
say() { echo "flip-install: $*"; }

main() {
    read_options "$@"
    [ "$(id -u)" = 0 ] || fail "root has to run it: sudo sh $0 ..."
    command -v apt-get >/dev/null || fail "this machine has no apt; pip install 'flip-edge[agent]' works on others"
    command -v curl >/dev/null || fail "curl is missing: apt-get install curl"
    case $(dpkg --print-architecture) in
    amd64 | arm64) ;;
    *) fail "there are packages for amd64 and arm64, this machine is $(dpkg --print-architecture)" ;;
    esac
    trust_the_hub
    add_the_repository
    install_the_agent
    enrol
}

read_options() {
    hub='' token='' fingerprint='' name='' version=''
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || fail "$1 needs a value"
        case $1 in
        --hub) hub=${2%/} ;;
        --token) token=$2 ;;
        --ca-sha256) fingerprint=$(printf %s "$2" | tr -d : | tr 'A-F' 'a-f') ;;
        --name) name=$2 ;;
        --version) version=$2 ;;
        *) fail "no option $1" ;;
        esac
        shift 2
    done
    [ -n "$hub" ] || fail "--hub is missing; the hub's page Enrol shows the whole command"
    case $hub in
    https://*) ;;
    http://127.0.0.1:* | http://localhost:*) [ -z "$fingerprint" ] || fail "with --ca-sha256 the address begins with https://" ;;
    *) fail "$hub: a hub on another machine is reached by https" ;;
    esac
}

trust_the_hub() {
    authority=''
    [ -n "$fingerprint" ] || return 0
    shown=$(curl -fsSk "$hub/api/v1/ca") || fail "$hub does not answer"
    found=$(printf '%s\n' "$shown" | grep -v -e ----- | base64 -d | sha256sum | cut -d ' ' -f 1)
    [ "$found" = "$fingerprint" ] ||
        fail "the authority at $hub has the fingerprint $found, not $fingerprint: do not go on, somebody may sit in between"
    authority=/etc/flip/hub-ca.pem
    mkdir -p /etc/flip
    printf '%s\n' "$shown" >"$authority.new"
    mv "$authority.new" "$authority"
    host=${hub#https://}
    printf 'Acquire::https::%s::CaInfo "%s";\n' "${host%%[:/]*}" "$authority" >/etc/apt/apt.conf.d/50flip
}

add_the_repository() {
    cat >/usr/share/keyrings/flip-archive-keyring.asc <<'KEY'
@KEY@
KEY
    cat >/etc/apt/sources.list.d/flip.sources <<SOURCES
Types: deb
URIs: $hub/apt
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/flip-archive-keyring.asc
SOURCES
}

install_the_agent() {
    only='-oDir::Etc::sourcelist=/etc/apt/sources.list.d/flip.sources -oDir::Etc::sourceparts=- -oAPT::Get::List-Cleanup=0'
    # shellcheck disable=SC2086
    apt-get -q=2 $only -oAcquire::Retries=5 update || fail "the repository of $hub cannot be read"
    DEBIAN_FRONTEND=noninteractive apt-get -q=2 -y --no-install-recommends -oAcquire::Retries=5 \
        -oDpkg::Options::=--force-confold install "flip-agent${version:+=$version}" || fail "flip-agent is not installed"
    say "flip-agent $(flip-agent --version) is installed"
}

enrol() {
    if grep -qF "\"hub_url\": \"$hub\"" /var/lib/flip/identity.json 2>/dev/null; then
        say "this machine is enrolled at $hub already"
        return
    fi
    [ -n "$token" ] || fail "--token is missing, so this machine is not enrolled: flip-agent enrol $hub --token T"
    secret=$(mktemp)
    trap 'rm -f "$secret"' EXIT
    printf '%s\n' "$token" >"$secret"
    flip-agent enrol "$hub" --token-file "$secret" ${authority:+--ca "$authority"} ${name:+--name "$name"}
}

main "$@"
