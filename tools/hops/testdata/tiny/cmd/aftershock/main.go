package main

import "github.com/aftershock/aftershock/store"

var batch = store.Batch[store.Record]{}

func main() {
	var all []store.Record
	for r := range store.Records() {
		take(&all, *r)
	}
	sum := 0
	store.Each(store.Sorted(all), func(r *store.Record) { sum += r.Key })
	done, over := make(chan int), make(chan struct{})
	go func() {
		defer close(over)
		done <- batch.Add(all[0])
	}()
	<-done
	<-over // a send is noted once it is made: the program must not have ended by then
}

func take(all *[]store.Record, r store.Record) { *all = append(*all, r) }
