module github.com/aftershock/aftershock

go 1.26
