# What the evaluation scripts of 2015 ask of a database, by the description of
# them: the same packages, queries and plots. Arguments: the database, and
# "raw" for the database of a single run, "export" for one with vm and sets.
# Prints a line per script, "<name> <number> ...", which the test checks.

suppressMessages({
  library(DBI)
  library(RSQLite)
  library(ggplot2)
  library(reshape)
  library(plyr)
})

arguments <- commandArgs(trailingOnly = TRUE)
path <- arguments[1]
exported <- arguments[2] == "export"
database <- dbConnect(SQLite(), path)
pdf(sub(".sqlite", "_plots.pdf", path, fixed = TRUE))

ask <- function(...) dbGetQuery(database, paste(...))
say <- function(name, ...) cat(name, format(c(...), digits = 15, scientific = FALSE, trim = TRUE), "\n")
# Hours are UTC, without the year.
hour <- function(seconds) {
  format(as.POSIXct(seconds, origin = "1970-01-01", tz = "UTC"), "%m/%d/%H")
}

# source
request <- ask("SELECT timestamp, source, received_peers, duplicate_peers, torrent FROM request")
torrent <- ask("SELECT id, display_name, pieces_count, piece_size, gigabyte FROM torrent")
stopifnot(is.numeric(request$timestamp), all(request$source %in% c("tracker", "dht", "incoming")))
request$hour <- hour(request$timestamp)
request$unique_peers <- request$received_peers - request$duplicate_peers
per_hour <- ddply(request, c("hour", "source"), summarise,
                  unique = sum(unique_peers), duplicate = sum(duplicate_peers))
molten <- melt(per_hour, id = c("hour", "source"))
print(ggplot(molten, aes(x = hour, y = value, fill = variable)) +
        geom_bar(stat = "identity") + facet_grid(source ~ .))
found <- request[request$source != "incoming", ]
say("source", nrow(request), sum(found$unique_peers))

# confirmed downloads, as four scripts have them
peer <- ask("SELECT id, first_pieces, last_pieces, first_seen, last_seen, torrent FROM peer",
            "WHERE last_pieces IS NOT NULL")
peer <- merge(peer, torrent, by.x = "torrent", by.y = "id")
needed <- ceiling(peer$pieces_count * 0.98)
confirmed <- peer[peer$first_pieces < needed & needed <= peer$last_pieces, ]
say("confirmed", nrow(peer), nrow(confirmed))
if (nrow(confirmed) > 0) {
  confirmed$hour <- hour(confirmed$first_seen)
  each <- ddply(confirmed, c("hour", "display_name"), summarise, downloads = length(hour))
  print(ggplot(each, aes(x = hour, y = downloads)) +
          geom_bar(stat = "identity") + facet_wrap(~display_name))
}

# download_each, confirmed_scrape: the completed counter of the main tracker
scraped <- ask("SELECT timestamp, completed, torrent FROM request WHERE completed IS NOT NULL")
reported <- ddply(scraped, "torrent", summarise,
                  reported = sum(diff(sort(completed))))
say("reported", nrow(scraped), sum(reported$reported))

# confirmed_unique
unique_peers <- ddply(found, "torrent", summarise, unique = sum(unique_peers))
unique_peers <- merge(unique_peers, torrent, by.x = "torrent", by.y = "id")
print(ggplot(unique_peers, aes(x = gigabyte, y = unique)) + geom_point() + scale_y_log10())

# visits
visits <- ask("SELECT visits, source FROM peer")
print(ggplot(visits, aes(x = visits)) + geom_histogram(binwidth = 1))
print(ggplot(visits, aes(x = visits, colour = source)) + stat_ecdf())
say("visits", nrow(visits), sum(visits$visits))

# speed and location, but for the map, whose package Debian lacks
speed <- ask("SELECT peer.country, peer.max_speed, torrent.piece_size FROM peer",
             "JOIN torrent ON torrent.id = peer.torrent WHERE max_speed IS NOT NULL")
speed$kilobytes <- speed$max_speed * speed$piece_size / 1000
say("speed", nrow(speed), sum(speed$kilobytes > 0))

# workload: only with vm
if (exported) {
  workload <- ask("SELECT timestamp, thread_workload, evaluator_threads, server_threads,",
                  "peer_queue, visited_queue, memory_mb, load_average, vm FROM statistic")
  molten <- melt(workload, id = c("timestamp", "vm"))
  print(ggplot(molten, aes(x = timestamp, y = value, colour = factor(vm))) +
          geom_line() + facet_grid(variable ~ ., scales = "free_y"))
  say("workload", nrow(workload), length(unique(workload$vm)))

  # the scripts with sets
  sets <- read.csv(paste(path, "csv", sep = "."))
  stopifnot(identical(names(sets), c("torrent", "set")))
  per_set <- merge(confirmed, sets, by = "torrent")
  say("sets", nrow(sets), nrow(per_set))
  thresholds <- read.csv(sub(".sqlite", "_threshold.csv", path, fixed = TRUE), check.names = FALSE)
  say("thresholds", ncol(thresholds) - 1, sum(thresholds[["0.98"]]))
} else {
  failure <- tryCatch(ask("SELECT vm FROM statistic"), error = conditionMessage)
  stopifnot(grepl("no such column: vm", failure))
  statistic <- ask("SELECT timestamp, memory_mb FROM statistic")
  say("statistic", nrow(statistic), length(unique(statistic$timestamp)))
}

# tracker_error
errors <- sub(".sqlite", "_tracker-error.txt", path, fixed = TRUE)
if (file.exists(errors) && file.info(errors)$size > 0) {
  results <- read.csv(errors, header = FALSE, quote = "\"",
                      col.names = c("torrent", "url", "result", "reason", "count"))
  stopifnot(is.numeric(results$torrent), is.numeric(results$count))
  say("tracker_error", nrow(results), sum(results$count[results$result == "announce success"]))
}

invisible(dev.off())
dbDisconnect(database)
