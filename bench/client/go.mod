module berth.invalid/bench/client

go 1.26.0
