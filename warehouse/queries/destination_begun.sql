SELECT delivered_at FROM alert_deliveries WHERE destination = {destination:String} AND outcome = 'begun' ORDER BY delivered_at LIMIT 1
