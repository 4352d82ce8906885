#include "measure/gaps_between.h"

#include <algorithm>
#include <cmath>

namespace tessera::measure {
namespace {

using device::ObservedLaunch;

double ns(TimePoint at) { return static_cast<double>(at.time_since_epoch().count()); }

struct Timed {
  const ObservedLaunch* launch = nullptr;
  double ended = 0;  // on the host's axis
};

// Launches queued but not ended, at any time. Immutable.
class InFlight {
 public:
  explicit InFlight(const std::vector<Timed>& launches) {
    for (const Timed& each : launches) {
      queued_.push_back(ns(each.launch->queued));
      ended_.push_back(each.ended);
    }
    std::sort(queued_.begin(), queued_.end());
    std::sort(ended_.begin(), ended_.end());
  }
  double at(double time) const {
    const auto begun = std::upper_bound(queued_.begin(), queued_.end(), time) - queued_.begin();
    const auto over = std::lower_bound(ended_.begin(), ended_.end(), time) - ended_.begin();
    return static_cast<double>(begun - over);
  }

 private:
  std::vector<double> queued_;
  std::vector<double> ended_;
};

// What the atoms of a slice ran last.
struct Before {
  const Timed* latest = nullptr;  // nullptr: of an atom nothing is known
  bool other_slice = false;       // one of them
  double waited_ns = 0;           // of all atoms, for the latest
};

Before before(const Slice& slice, const std::vector<const Timed*>& last) {
  Before out;
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    if (last[atom] == nullptr) {
      return {};
    }
    out.other_slice = out.other_slice || last[atom]->launch->slice != slice;
    if (out.latest == nullptr || last[atom]->launch->card.ended_ns > out.latest->launch->card.ended_ns) {
      out.latest = last[atom];
    }
  }
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    out.waited_ns += static_cast<double>(out.latest->launch->card.ended_ns - last[atom]->launch->card.ended_ns);
  }
  return out;
}

struct Samples {
  std::vector<double> ahead;
  std::vector<double> behind;

  std::vector<double> all() const {
    std::vector<double> both = ahead;
    both.insert(both.end(), behind.begin(), behind.end());
    return both;
  }
};

}  // namespace

Quantiles quantiles_of(std::vector<double> values) {
  if (values.empty()) {
    return {};
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](std::size_t percent) {
    return values[std::min(values.size() - 1, values.size() * percent / 100)];
  };
  return {values.size(), at(50), at(90), at(99), values.back()};
}

std::size_t lost_of(std::span<const ObservedLaunch> launches) {
  std::vector<std::uint64_t> numbers;
  for (const ObservedLaunch& launch : launches) {
    numbers.push_back(launch.number);
  }
  std::sort(numbers.begin(), numbers.end());
  std::size_t lost = 0;
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    lost += numbers[i] == numbers[i - 1] ? 1 : numbers[i] - numbers[i - 1] - 1;
  }
  return lost;
}

GapsBetween gaps_between(std::span<const ObservedLaunch> launches, std::uint16_t atoms,
                         const std::function<double(std::uint64_t)>& host_ns, TimePoint from, TimePoint until) {
  GapsBetween out;
  std::vector<Timed> timed;
  timed.reserve(launches.size());
  for (const ObservedLaunch& launch : launches) {
    if (launch.card.ended_ns == 0) {
      ++out.untimed;
    } else {
      timed.push_back({&launch, host_ns(launch.card.ended_ns)});
    }
  }
  const InFlight in_flight(timed);
  std::vector<const Timed*> last(atoms, nullptr);  // by atom
  Samples changed;
  Samples same;
  std::vector<double> seen;
  std::vector<double> told;
  std::vector<double> at_once;
  for (const Timed& each : timed) {
    const ObservedLaunch& launch = *each.launch;
    const Before those = before(launch.slice, last);
    std::fill_n(last.begin() + launch.slice.first, launch.slice.count, &each);
    if (host_ns(launch.card.begun_ns) < ns(from) || each.ended >= ns(until)) {
      continue;
    }
    ++out.launches;
    out.busy += static_cast<double>(launch.card.ended_ns - launch.card.begun_ns) * launch.slice.count;
    seen.push_back((ns(launch.seen) - each.ended) / 1000);
    told.push_back((ns(launch.told) - each.ended) / 1000);
    at_once.push_back(in_flight.at(each.ended));
    if (those.latest == nullptr) {
      continue;
    }
    // Of whole numbers: as doubles, moments since 1970 would be 256 ns apart.
    const double gap = static_cast<double>(static_cast<std::int64_t>(launch.card.begun_ns) -
                                           static_cast<std::int64_t>(those.latest->launch->card.ended_ns));
    out.overlaps += gap < 0 ? 1 : 0;
    out.between += std::max(gap, 0.0) * launch.slice.count;
    out.waiting += those.waited_ns;
    Samples& samples = those.other_slice ? changed : same;
    (ns(launch.queued) <= those.latest->ended ? samples.ahead : samples.behind).push_back(gap / 1000);
  }
  const double all = (ns(until) - ns(from)) * atoms;
  for (double* part : {&out.busy, &out.between, &out.waiting}) {
    *part /= all;
  }
  out.changed_us = quantiles_of(changed.all());
  out.changed_ahead_us = quantiles_of(std::move(changed.ahead));
  out.changed_behind_us = quantiles_of(std::move(changed.behind));
  out.same_us = quantiles_of(same.all());
  out.same_ahead_us = quantiles_of(std::move(same.ahead));
  out.same_behind_us = quantiles_of(std::move(same.behind));
  out.seen_us = quantiles_of(std::move(seen));
  out.told_us = quantiles_of(std::move(told));
  out.in_flight = quantiles_of(std::move(at_once));
  return out;
}

}  // namespace tessera::measure
