#!/bin/sh
# Validate a trail a little each day, where no agent runs: a sample of all lines, and every line of a thirtieth of the
# blocks. After thirty days every block has been read. From a crontab:
#
#   17 4 * * * /opt/auditwatch/examples/cron_cover.sh /var/log/trading/audit_trail.jsonl
#
# cron mails what is printed. Nothing is, unless damage was found (status 1) or it could not look (status 3).
set -u

AUDITWATCH=${AUDITWATCH:-auditwatch} # cron's PATH is short: name the program in full if it is elsewhere
DAYS=${DAYS:-30}

share=$(($(date +%s) / 86400 % DAYS + 1))/$DAYS
report=$(nice "$AUDITWATCH" validate --mode sample --cover "$share" "$@" 2>&1)
status=$?
[ "$status" -eq 0 ] || printf 'share %s of the blocks\n%s\n' "$share" "$report"
exit "$status"
