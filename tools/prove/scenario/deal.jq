module {aftershock: "deals"}; .
