# The last part of every stage's command: does what the first argument says.
case $verb in
apply) apply ;;
remove) remove ;;
*) fail "unknown verb: $verb" ;;
esac
