SELECT claimant, writer FROM upkeep_claims WHERE epoch = {epoch:UInt64}
