module berth.invalid/images/health

go 1.26.0
