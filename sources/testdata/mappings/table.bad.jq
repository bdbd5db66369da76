module {aftershock: "deals", tables: {a: "../../etc/a.csv"}};
.
