module eyrie/loadgen

go 1.21
