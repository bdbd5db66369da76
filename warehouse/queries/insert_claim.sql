INSERT INTO upkeep_claims (epoch, claimant, writer, claimed_at)
