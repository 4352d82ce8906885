#include "sched/sacrifice.h"

#include <algorithm>

#include "sched/guard.h"
#include "sched/target.h"

namespace tessera::sched {

void give_up(const ShapeQueue& queue, ShapeQueue::Entries::const_iterator first, Decisions& out) {
  for (auto lost = queue.entries().begin(); lost != first; ++lost) {
    out.hopeless.push_back(lost->request->arrival.request);
  }
}

namespace {

// The first request that is in time where a batch ends at `ends`, if with what waits behind it fills `rows`; else the
// end. Nobody of a better priority is passed over.
ShapeQueue::Entries::const_iterator first_to_fill(const ShapeQueue& queue, std::int32_t rows, TimePoint ends) {
  const auto& entries = queue.entries();
  std::int64_t left = queue.rows();
  auto first = entries.begin();
  for (; first != entries.end() && first->request->deadline < ends && left >= rows; ++first) {
    left -= first->request->arrival.rows;
  }
  const bool fills = left >= rows && first != entries.end() && first->request->arrival.rows <= rows;
  return fills && !entries.begin()->outranks(*first) ? first : entries.end();
}

}  // namespace

void fills_without_head(const View& view, const ShapeQueue& queue, std::size_t from_group, double least_score,
                        TimePoint begin, std::vector<Fill>& out) {
  const Instance& instance = queue.instance();
  out.clear();
  const std::size_t largest = instance.bucket_for(std::min<std::int64_t>(queue.rows(), instance.max_rows()));
  for (std::size_t bucket = largest + 1; bucket-- > 0;) {
    const std::int32_t rows = std::min(instance.params->buckets[bucket], instance.max_rows());
    for (std::size_t group = from_group; group < instance.groups.end; ++group) {
      const Duration latency = view.predicted(queue, bucket, group);
      const double score = score_of(rows, latency, view.device.group_processors(group));
      if (score < least_score) {
        continue;
      }
      const auto first = first_to_fill(queue, rows, begin + latency);
      if (first != queue.entries().end()) {
        out.push_back({score, bucket, group, first});
      }
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Fill& a, const Fill& b) { return a.score > b.score; });
}

std::optional<Sacrifice> Outlook::better(const View& view, const ShapeQueue& queue, std::size_t bucket, Pace pace,
                                         TimePoint begin) {
  const Instance& instance = queue.instance();
  const std::size_t buckets = instance.buckets_there;
  const std::size_t largest = instance.bucket_for(std::min<std::int64_t>(queue.rows(), instance.max_rows()));
  if (bucket >= largest || bucket >= buckets) {
    return std::nullopt;
  }
  instance_ = &instance;
  pace_ = pace;
  latency_.clear();
  for (std::size_t one = 0; one <= largest; ++one) {
    latency_.push_back(view.predicted(queue, one, pace.group));
  }
  const Duration margin = bounded_margin(instance.table.margin(), *instance.params->slo, latency_.back());
  waiting_.clear();
  const ShapeQueue::Entry& head = *queue.entries().begin();
  for (const ShapeQueue::Entry& entry : queue.entries()) {
    if (head.outranks(entry) || waiting_.size() == kMostRequests) {
      break;  // nobody of a better priority is lost for others
    }
    waiting_.push_back({entry.deadline - margin, entry.request->arrival.rows});
  }
  const Part first = take(0, instance.params->buckets[bucket]);
  std::int64_t most = first.rows + rows_in_time(first.end, begin + step(bucket));
  std::optional<Sacrifice> best;
  for (std::size_t larger = bucket + 1; larger <= largest; ++larger) {
    const TimePoint ends = add_saturating(begin, latency_[larger]);
    const std::size_t lost = skip_lost(0, ends);
    const Part batch = take(lost, std::min(instance.params->buckets[larger], instance.max_rows()));
    if (lost == 0 || batch.rows == 0) {
      continue;
    }
    const std::int64_t saved = batch.rows + rows_in_time(batch.end, begin + step(larger));
    if (saved > most) {
      most = saved;
      best = Sacrifice{static_cast<std::int32_t>(lost), larger};
    }
  }
  return best;
}

// From the beginning of a batch to that of the next.
Duration Outlook::step(std::size_t bucket) const {
  const double own = static_cast<double>(latency_[bucket].count()) / pace_.at_once;
  return Duration(static_cast<Duration::rep>(own)) + pace_.between;
}

std::size_t Outlook::skip_lost(std::size_t at, TimePoint ends) const {
  while (at < waiting_.size() && waiting_[at].deadline < ends) {
    ++at;
  }
  return at;
}

Outlook::Part Outlook::take(std::size_t from, std::int64_t most) const {
  Part part{from, 0};
  while (part.end < waiting_.size() && part.rows + waiting_[part.end].rows <= most) {
    part.rows += waiting_[part.end++].rows;
  }
  return part;
}

std::int64_t Outlook::rows_in_time(std::size_t from, TimePoint begin) const {
  const ModelParams& params = *instance_->params;
  std::int64_t saved = 0;
  std::size_t bucket = latency_.size() - 1;
  while (true) {
    from = skip_lost(from, add_saturating(begin, latency_[0]));
    if (from == waiting_.size()) {
      return saved;
    }
    bucket = latency_.size() - 1;
    while (bucket > 0 && add_saturating(begin, latency_[bucket]) > waiting_[from].deadline) {
      --bucket;
    }
    const Part batch = take(from, std::min(params.buckets[bucket], instance_->max_rows()));
    if (batch.rows == 0) {  // its rows do not fit a batch that is in time
      ++from;
      continue;
    }
    saved += batch.rows;
    begin += step(instance_->bucket_for(batch.rows));
    from = batch.end;
  }
}

}  // namespace tessera::sched
