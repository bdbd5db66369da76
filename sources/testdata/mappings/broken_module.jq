def f: {;
