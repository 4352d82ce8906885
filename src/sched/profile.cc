#include "sched/profile.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "base/check.h"

namespace tessera::sched {
namespace {

// Where nothing better is known: latency falls with processors^-0.7 and grows with rows^0.7 (between "no gain", 0, and
// "proportional", 1). A little optimistic about small slices, so that they are tried and then corrected.
constexpr double kDefaultProcessorSlope = -0.7;
constexpr double kDefaultBucketSlope = 0.7;

constexpr double kFarOff = 1.25;  // or its inverse; a streak of such runs is a change and not noise
constexpr std::int32_t kStreak = 3;
constexpr double kStreakLearning = 0.5;        // weight of one run then
constexpr double kSlowestLearning = 0.1;       // weight of one run once many were seen
constexpr double kLargestCorrection = 4.0;     // one run moves a prediction as if it were at most this much off
constexpr std::uint32_t kSeenOften = 8;        // observations from which a cell tells nothing more about unseen ones
constexpr double kPriorWeight = 0.3;           // of the measurements against a size that was seen so often
constexpr double kJitterLearning = 0.002;      // weight of one run
constexpr std::uint32_t kSteadyEnough = 1000;  // runs after which that weight is the least
constexpr double kNoticeableLatency = 0.02;    // relative change that is worth reading the profile again
constexpr std::size_t kMarginEvery = 8;        // observations between two computations of the margin
constexpr double kMarginQuantile = 0.99;

double nanoseconds(Duration span) { return std::max<double>(1.0, static_cast<double>(span.count())); }
double line(double x, double x0, double y0, double slope) { return y0 + (x - x0) * slope; }

}  // namespace

Profile::Profile(const std::vector<ProfilePoint>& points) {
  for (const ProfilePoint& point : points) {
    TESSERA_CHECK(point.bucket > 0 && point.processors > 0);
    const double ns = nanoseconds(point.latency);
    cell_of({point.bucket, point.processors}) = Cell{ns, ns, ns, 0};
  }
  for (const auto& [key, cell] : cells_) {
    if (buckets_.empty() || buckets_.back() != key.first) {
      buckets_.push_back(key.first);
    }
  }
}

Profile::Cells::const_iterator Profile::lower_bound(const Key& key) const {
  return std::lower_bound(cells_.begin(), cells_.end(), key,
                          [](const auto& one, const Key& of) { return one.first < of; });
}

Profile::Cells::const_iterator Profile::find(const Key& key) const {
  const auto at = lower_bound(key);
  return at != cells_.end() && at->first == key ? at : cells_.end();
}

Profile::Cell& Profile::cell_of(const Key& key) {
  auto at = cells_.begin() + (lower_bound(key) - cells_.cbegin());
  if (at == cells_.end() || at->first != key) {
    at = cells_.emplace(at, key, Cell{});
  }
  return at->second;
}

std::optional<Duration> Profile::latency(std::int32_t bucket, std::int32_t processors) const {
  return empty() ? std::nullopt : std::optional(Curve(*this, processors).at(bucket));
}

// Rows below bound it from below: a running maximum keeps the curve monotone in rows.
const Profile::Curve::Row& Profile::Curve::row(std::size_t index) {
  while (rows_.size() <= index) {
    const std::int32_t bucket = profile_.buckets_[rows_.size()];
    const double value = profile_.row_log_latency(bucket, processors_);
    rows_.push_back(
        {std::log(static_cast<double>(bucket)), rows_.empty() ? value : std::max(value, rows_.back().log_ns)});
  }
  return rows_[index];
}

Duration Profile::Curve::at(std::int32_t bucket) {
  const std::vector<std::int32_t>& known = profile_.buckets_;
  const auto log_ns = [&] {
    const double log_bucket = std::log(static_cast<double>(bucket));
    const auto from = static_cast<std::size_t>(std::lower_bound(known.begin(), known.end(), bucket) - known.begin());
    if (from < known.size() && known[from] == bucket) {
      return row(from).log_ns;
    }
    if (from == 0) {
      const double slope = profile_.bucket_slope(known.front(), known.size() > 1 ? known[1] : known.front());
      return line(log_bucket, row(0).log_bucket, row(0).log_ns, slope);
    }
    const Row before = row(from - 1);
    if (from == known.size()) {
      const double slope = profile_.bucket_slope(known.size() > 1 ? known[from - 2] : known.back(), known.back());
      return line(log_bucket, before.log_bucket, before.log_ns, slope);
    }
    const Row after = row(from);
    const double slope = (after.log_ns - before.log_ns) / (after.log_bucket - before.log_bucket);
    return line(log_bucket, before.log_bucket, before.log_ns, slope);
  };
  return Duration(static_cast<Duration::rep>(std::max(1.0, std::exp(log_ns()))));
}

std::optional<Duration> Profile::fastest(std::int32_t processors) const {
  double least = std::numeric_limits<double>::infinity();
  bool judged = false;
  for (const auto& [key, cell] : cells_) {
    // What was measured and never seen counts as measured, not as it is scaled by runs beside others.
    least = std::min(least, cell.observations == 0 && cell.prior_ns > 0 ? cell.prior_ns : cell.latency_ns);
    judged = judged || (key.second >= processors && (cell.prior_ns > 0 || cell.observations >= kConfidentAfter));
  }
  return judged ? std::optional(Duration(static_cast<Duration::rep>(std::max(1.0, least)))) : std::nullopt;
}

std::optional<Duration> Profile::without_neighbours(std::int32_t bucket, std::int32_t processors) const {
  const auto found = find({bucket, processors});
  if (found == cells_.end()) {
    return std::nullopt;
  }
  const Cell& cell = found->second;
  return Duration(static_cast<Duration::rep>(std::max(1.0, cell.observations == 0 ? cell.prior_ns : cell.latency_ns)));
}

double Profile::row_log_latency(std::int32_t bucket, std::int32_t processors) const {
  if (const auto exact = find({bucket, processors}); exact != cells_.end()) {
    return std::log(exact->second.latency_ns);
  }
  const double log_processors = std::log(static_cast<double>(processors));
  const auto begin = lower_bound({bucket, 0});
  const auto end = lower_bound({bucket + 1, 0});
  TESSERA_CHECK(begin != end);
  // A running minimum keeps the curve monotone in processors. Slopes stay at or above -1 outside the known points: no
  // slice is more than proportionally faster.
  double x0 = 0;
  double y0 = 0;
  double slope = 0;
  bool have = false;
  for (auto it = begin; it != end; ++it) {
    const double x1 = std::log(static_cast<double>(it->first.second));
    double y1 = std::log(it->second.latency_ns);
    if (have) {
      y1 = std::min(y1, y0);
      const double between = (y1 - y0) / (x1 - x0);
      if (log_processors <= x1) {
        const bool outside = log_processors < x0;
        return line(log_processors, x0, y0, outside ? std::clamp(between, -1.0, 0.0) : between);
      }
      slope = std::clamp(between, -1.0, 0.0);
    } else if (std::next(it) == end) {
      return line(log_processors, x1, y1, processor_slope());
    }
    x0 = x1;
    y0 = y1;
    have = true;
  }
  return line(log_processors, x0, y0, slope);
}

// Over all rows that were seen with more than one number of processors, so that rows with one point follow them.
double Profile::processor_slope() const {
  double sum = 0;
  int rows = 0;
  for (const std::int32_t bucket : buckets_) {
    const auto first = lower_bound({bucket, 0});
    const auto last = std::prev(lower_bound({bucket + 1, 0}));
    if (first == last) {
      continue;
    }
    const double run =
        std::log(static_cast<double>(last->first.second)) - std::log(static_cast<double>(first->first.second));
    sum += (std::log(last->second.latency_ns) - std::log(first->second.latency_ns)) / run;
    ++rows;
  }
  return rows == 0 ? kDefaultProcessorSlope : std::clamp(sum / rows, -1.0, 0.0);
}

// At one number of processors for all, so that what is extrapolated keeps the order of what is known.
double Profile::bucket_slope(std::int32_t low, std::int32_t high) const {
  if (low == high) {
    return kDefaultBucketSlope;
  }
  const std::int32_t at = lower_bound({high, 0})->first.second;
  const double run = std::log(static_cast<double>(high)) - std::log(static_cast<double>(low));
  return std::clamp((row_log_latency(high, at) - row_log_latency(low, at)) / run, 0.0, 1.0);
}

void Profile::add(const ProfilePoint& point) {
  TESSERA_CHECK(point.bucket > 0 && point.processors > 0);
  Cell& its = cell_of({point.bucket, point.processors});
  its.prior_ns = nanoseconds(point.latency);
  if (its.observations > 0) {
    return;
  }
  its.latency_ns = its.published_ns = std::max(1.0, its.prior_ns * scale_);
  const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), point.bucket);
  if (at == buckets_.end() || *at != point.bucket) {
    buckets_.insert(at, point.bucket);
  }
  ++version_;
}

void Profile::observe(std::int32_t bucket, std::int32_t processors, Duration took, Duration overhead) {
  TESSERA_CHECK(bucket > 0 && processors > 0);
  const double took_ns = nanoseconds(took);
  const Key key{bucket, processors};
  ++observations_;
  const auto found = find(key);
  if (found == cells_.end()) {
    double first_ns = took_ns;
    if (!cells_.empty()) {
      const double predicted_ns = nanoseconds(*latency(bucket, processors));
      record_error(took_ns + static_cast<double>(overhead.count()) - predicted_ns);
      first_ns = predicted_ns * std::clamp(took_ns / predicted_ns, 1.0 / kLargestCorrection, kLargestCorrection);
    }
    cell_of(key) = Cell{first_ns, 0, first_ns, 1};
    const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), bucket);
    if (at == buckets_.end() || *at != bucket) {
      buckets_.insert(at, bucket);
    }
    scale_unseen();
    ++version_;
    return;
  }
  Cell& cell = cell_of(key);
  const double predicted_ns = prediction(key, cell);
  record_error(took_ns + static_cast<double>(overhead.count()) - predicted_ns);
  const bool settled = cell.observations >= kSeenOften;
  if (settled) {
    note_jitter(took_ns - predicted_ns, predicted_ns);
  }
  // The first run in the largest slice: how much longer others took beside neighbours does not count.
  if (cell.observations == 0 && cell.prior_ns > 0) {
    const auto in_larger = [&key](const auto& entry) { return entry.first.second > key.second; };
    cell.latency_ns = std::any_of(cells_.begin(), cells_.end(), in_larger) ? cell.latency_ns : cell.prior_ns;
  }
  correct(cell, took_ns);
  if (!settled) {
    scale_unseen();
  }
  publish_if_moved(cell, !settled);
}

// Asked for with every run, so the curve is only worked out when the version has moved.
double Profile::prediction(const Key& key, Cell& cell) const {
  if (cell.predicted_ns == 0 || cell.predicted_version != version_) {
    cell.predicted_ns = nanoseconds(*latency(key.first, key.second));
    cell.predicted_version = version_;
  }
  return cell.predicted_ns;
}

// Against the cell itself, not the monotone curve through it: a cell must be able to follow what is seen.
void Profile::correct(Cell& cell, double took_ns) {
  const double ratio = took_ns / cell.latency_ns;
  const std::int32_t side = ratio > kFarOff ? 1 : (ratio < 1.0 / kFarOff ? -1 : 0);
  cell.streak = side == 0 ? 0 : (cell.streak * side > 0 ? cell.streak + side : side);
  const bool changed = std::abs(cell.streak) >= kStreak;
  const double most = changed ? took_ns : cell.latency_ns * kLargestCorrection;
  const double least = changed ? took_ns : cell.latency_ns / kLargestCorrection;
  const double weight = std::max(changed ? kStreakLearning : kSlowestLearning, 1.0 / (cell.observations + 2.0));
  cell.latency_ns += weight * (std::clamp(took_ns, least, most) - cell.latency_ns);
  ++cell.observations;
}

// By the mean of what was seen, and not run by run: with many sizes the noise of their first runs would add up.
void Profile::scale_unseen() {
  double sum = 0;
  double weight = kPriorWeight;
  for (const auto& [key, cell] : cells_) {
    if (cell.observations > 0 && cell.prior_ns > 0) {
      const double own = std::min(1.0, cell.observations / static_cast<double>(kSeenOften));
      const double ratio = std::clamp(cell.latency_ns / cell.prior_ns, 1.0 / kLargestCorrection, kLargestCorrection);
      sum += own * std::log(ratio);
      weight += own;
    }
  }
  scale_ = std::exp(sum / weight);
  for (auto& [key, cell] : cells_) {
    if (cell.observations == 0) {
      cell.latency_ns = std::max(1.0, cell.prior_ns * scale_);
    }
  }
}

void Profile::note_jitter(double error_ns, double predicted_ns) {
  const double off = std::clamp(error_ns, -predicted_ns, predicted_ns);  // further off are other things
  steady_ = std::min(steady_ + 1, kSteadyEnough);
  variance_ += std::max(kJitterLearning, 1.0 / steady_) * (off * off - variance_);
}

Duration Profile::jitter() const {
  return steady_ < kErrors ? Duration{0} : Duration(static_cast<Duration::rep>(std::sqrt(variance_)));
}

void Profile::record_error(double error_ns) {
  if (errors_ns_.size() < kErrors) {
    errors_ns_.push_back(error_ns);
  } else {
    errors_ns_[next_error_] = error_ns;
    next_error_ = (next_error_ + 1) % kErrors;
  }
  if (observations_ % kMarginEvery != 0) {
    return;
  }
  const std::size_t last = errors_ns_.size() - 1;
  const std::size_t above = last - static_cast<std::size_t>(std::lround(kMarginQuantile * static_cast<double>(last)));
  std::array<double, kErrors / 64> largest;
  TESSERA_CHECK(above < largest.size());
  std::partial_sort_copy(errors_ns_.begin(), errors_ns_.end(), largest.begin(),
                         largest.begin() + static_cast<std::ptrdiff_t>(above + 1), std::greater<>());
  const Duration margin{static_cast<Duration::rep>(std::max(0.0, largest[above]))};
  const auto change = std::chrono::abs(margin - margin_);
  margin_ = margin;
  if (change * 10 > margin) {
    ++version_;
  }
}

// After a change of `cell`, and of unseen ones where `others`.
void Profile::publish_if_moved(const Cell& cell, bool others) {
  const auto moved = [](const Cell& one) {
    return std::abs(one.latency_ns - one.published_ns) > kNoticeableLatency * one.published_ns;
  };
  const auto entry_moved = [&](const auto& entry) { return moved(entry.second); };
  if (!moved(cell) && !(others && std::any_of(cells_.begin(), cells_.end(), entry_moved))) {
    return;
  }
  for (auto& [key, one] : cells_) {
    one.published_ns = one.latency_ns;
  }
  ++version_;
}

std::vector<ProfilePoint> Profile::points() const {
  std::vector<ProfilePoint> points;
  points.reserve(cells_.size());
  for (const auto& [key, cell] : cells_) {
    points.push_back({key.first, key.second, Duration(static_cast<Duration::rep>(cell.latency_ns))});
  }
  return points;
}

}  // namespace tessera::sched
