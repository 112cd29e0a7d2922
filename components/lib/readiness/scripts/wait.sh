# Waits until every URL of standard input answers with the status wanted, all within so many seconds.
#   wait.sh SECONDS    after ask.sh
wait_for_answers "$1"
