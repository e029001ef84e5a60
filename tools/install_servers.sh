#!/bin/sh
# Installs the servers and programs that the wider integration tests use. Starts nothing.
set -eu

PACKAGES="nginx apache2 haproxy
    bind9 bind9-dnsutils pdns-server pdns-backend-sqlite3 sqlite3 knot
    softhsm2 opensc libengine-pkcs11-openssl
    strace openssl iproute2 curl systemd systemd-container cron"

if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: make servers knows only apt-get (Debian, Ubuntu); install by hand:" $PACKAGES >&2
    exit 1
fi
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
missing=
for package in $PACKAGES; do
    installed "$package" || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "All servers are installed."
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "error: make servers has to be run by root; it would install:$missing" >&2
    exit 1
fi

# Debian starts what it installs unless this file says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq </dev/null
# shellcheck disable=SC2086  # a list of words
apt-get install -y -qq --no-install-recommends $missing </dev/null
echo "Installed:$missing"
