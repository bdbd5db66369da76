package small

func init() {}
