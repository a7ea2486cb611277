# Exits 0 when the app answers GET /healthz with 200 within 4.5 seconds, else 1 after printing what it
# got; Docker keeps that (docker inspect), and a failed update shows it.
#
# Docker starts this up to once a second, within the container's CPU limit. bash opens the connection
# itself, and starts in a tenth of the time of a Python interpreter.

port=${PORT:-8000}
start=${EPOCHREALTIME/[.,]/}

stop_clock() { took=$(((${EPOCHREALTIME/[.,]/} - start) / 1000)); }

fail() {
    echo "GET /healthz on port $port: $1 after $took ms${2:+: $2}"
    exit 1
}

trap '' PIPE
{ exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || { stop_clock && fail "connection refused"; }
printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3 2>/dev/null
# The health check ends this after 5 seconds.
read -r -t 4.5 _ status _ <&3 2>/dev/null
ended=$?
status=${status%$'\r'}
[ "$status" = 200 ] && exit 0
stop_clock
if [ -z "$status" ]; then
    [ $ended -gt 128 ] && fail "no answer"
    fail "connection closed without an answer"
fi
while read -r -t 0.2 line <&3 2>/dev/null && [ "${line%$'\r'}" ]; do :; done
read -r -t 0.2 -N 200 body <&3 2>/dev/null
fail "status $status" "${body//[$'\r\n']/ }"
