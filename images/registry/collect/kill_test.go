package collect

const killVariable = "BERTH_TEST_COLLECT_KILL"

func collectUntilKilled() {}
