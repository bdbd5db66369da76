module small
