INSERT INTO fx (currency, valid_from, rate, imported_at)
