#include "sim/fit.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "loadgen/measure.h"

namespace tessera::sim {
namespace {

// Who has not the attainment without the candidate may lose so much of it: the noise of two runs.
constexpr double kNoise = 0.005;
constexpr double kRatePrecision = 1.03;
constexpr double kSloPrecision = 1.05;
constexpr double kLowestRate = 1.0 / 256;  // of the one asked for
// A run is so many objectives long: in a shorter one a queue that grows for ever would not have grown enough to show.
constexpr double kSlosOfARun = 50;
constexpr Duration kWarmUp = std::chrono::milliseconds(500);
constexpr Duration kShortest = std::chrono::milliseconds(500);
constexpr double kLongestSeconds = 600;

// Answers one question, run by run. Owned by one thread.
class Search {
 public:
  Search(const FitQuestion& question, const std::function<bool(const std::string&)>& go_on)
      : asked_(question), go_on_(go_on) {}

  Result<FitAnswer> answer() {
    const loadgen::Tenant& candidate = asked_.candidate;
    if (!asked_.present.empty()) {
      TESSERA_ASSIGN_OR_RETURN(before_, play(asked_.present, asked_.devices, "those that are there"));
    }
    TESSERA_ASSIGN_OR_RETURN(const auto after, with(candidate, asked_.devices, "with " + candidate.spec.name));
    if (!after || (!asked_.present.empty() && before_.empty())) {
      return Error(ErrorCode::kUnavailable, "there was no time for a single run; ask again, or about fewer requests");
    }
    tell(*after);
    answer_.fits = good(*after, before_);
    if (!answer_.fits) {
      TESSERA_RETURN_IF_ERROR(find_rate());
      TESSERA_RETURN_IF_ERROR(find_slo());
      TESSERA_RETURN_IF_ERROR(find_devices());
    }
    return std::move(answer_);
  }

 private:
  using Tallies = std::vector<loadgen::Tally>;

  // Pooled over the seeds; empty: there is no time left.
  Result<Tallies> play(const std::vector<loadgen::Tenant>& tenants, std::size_t devices, const std::string& about) {
    ClusterOptions options;
    options.policy = asked_.policy;
    options.devices = devices;
    options.devices_per_node = asked_.devices_per_node;
    options.warm_up = kWarmUp;
    options.length = length_of(tenants);
    Tallies pooled(tenants.size());
    for (int seed = 0; seed < asked_.seeds; ++seed) {
      if (!answer_.complete || (go_on_ && !go_on_(about))) {
        answer_.complete = false;
        return Tallies();
      }
      options.seed = asked_.seed + static_cast<std::uint64_t>(seed);
      TESSERA_ASSIGN_OR_RETURN(const auto cluster, Cluster::make(asked_.device, tenants, options));
      const Outcome outcome = cluster->run({});
      ++answer_.runs;
      for (std::size_t i = 0; i < tenants.size(); ++i) {
        pooled[i].merge(outcome.tenants[i].tally);
      }
    }
    return pooled;
  }

  Duration length_of(const std::vector<loadgen::Tenant>& tenants) const {
    double total = 0;
    double slowest = 0;
    double widest = 0;
    for (const loadgen::Tenant& tenant : tenants) {
      total += tenant.rate;
      widest = std::max(widest, std::chrono::duration<double>(tenant.slo.value_or(Duration{0})).count());
      if (tenant.slo && tenant.rate > 0) {
        slowest = slowest > 0 ? std::min(slowest, tenant.rate) : tenant.rate;
      }
    }
    if (total <= 0) {
      return kShortest;
    }
    const double each = static_cast<double>(asked_.least_requests) / asked_.seeds;
    const double most = static_cast<double>(asked_.most_requests) / total;
    const double seconds = std::min(std::max(slowest > 0 ? each / slowest : 1.0, kSlosOfARun * widest), most);
    const double least = std::min(std::chrono::duration<double>(kShortest).count(), most);
    return Duration(std::llround(std::clamp(seconds, least, kLongestSeconds) * 1e9) + 1);
  }

  Result<std::optional<Tallies>> with(const loadgen::Tenant& candidate, std::size_t devices, const std::string& about) {
    std::vector<loadgen::Tenant> all = asked_.present;
    all.push_back(candidate);
    TESSERA_ASSIGN_OR_RETURN(Tallies tallies, play(all, devices, about));
    return tallies.empty() ? std::optional<Tallies>() : std::optional<Tallies>(std::move(tallies));
  }

  bool suffers(std::size_t tenant, const loadgen::Tally& after, const Tallies& before) const {
    if (tenant >= asked_.present.size()) {
      return after.offered_count() == 0 || after.attainment() < asked_.attainment;
    }
    if (!asked_.present[tenant].slo) {
      return false;
    }
    const double had = before[tenant].attainment();
    return after.attainment() < (had >= asked_.attainment ? asked_.attainment : had - kNoise);
  }

  bool good(const Tallies& after, const Tallies& before) const {
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (suffers(i, after[i], before)) {
        return false;
      }
    }
    return true;
  }

  void tell(const Tallies& after) {
    for (std::size_t i = 0; i < after.size(); ++i) {
      const bool there = i < asked_.present.size();
      const loadgen::Tenant& tenant = there ? asked_.present[i] : asked_.candidate;
      FitTenant one{tenant.spec.name, tenant.spec.model, tenant.slo, tenant.rate, std::nullopt, after[i], false};
      if (there) {
        one.before = before_[i];
      }
      one.suffers = suffers(i, after[i], before_);
      const std::uint64_t late = after[i].offered_count() - after[i].met_count();
      const bool enough = after[i].offered_count() >= loadgen::early_stopping_requests(0, asked_.attainment, 0.95) ||
                          late * 10 > after[i].offered_count();
      answer_.sure = answer_.sure && (!tenant.slo || enough);
      answer_.tenants.push_back(std::move(one));
    }
  }

  // Whether it fits so; nothing: there is no time left.
  Result<std::optional<bool>> fits(const loadgen::Tenant& candidate, const std::string& about) {
    TESSERA_ASSIGN_OR_RETURN(const auto after, with(candidate, asked_.devices, about));
    return after ? std::optional(good(*after, before_)) : std::optional<bool>();
  }

  // The highest rate below the one asked for.
  Status find_rate() {
    loadgen::Tenant candidate = asked_.candidate;
    double high = asked_.candidate.rate;
    double low = high;
    std::optional<bool> fit = false;
    while (!*fit && low > asked_.candidate.rate * kLowestRate) {
      high = low;
      candidate.rate = low = low / 4;
      TESSERA_ASSIGN_OR_RETURN(fit, fits(candidate, "a lower rate"));
      if (!fit) return ok_status();
    }
    if (!*fit) return ok_status();
    while (high / low > kRatePrecision) {
      candidate.rate = std::sqrt(low * high);
      TESSERA_ASSIGN_OR_RETURN(fit, fits(candidate, "the highest rate"));
      if (!fit) return ok_status();
      (*fit ? low : high) = candidate.rate;
    }
    answer_.highest_rate = low;
    return ok_status();
  }

  // The smallest objective above the one asked for.
  Status find_slo() {
    loadgen::Tenant candidate = asked_.candidate;
    const auto asked = static_cast<double>(asked_.candidate.slo->count());
    double low = asked;
    double high = asked;
    std::optional<bool> fit = false;
    const auto set = [&](double slo) {
      candidate.slo = candidate.spec.slo = Duration(std::llround(slo));
      candidate.spec.slo_factor.reset();
    };
    double total = asked_.candidate.rate;
    for (const loadgen::Tenant& tenant : asked_.present) {
      total += tenant.rate;
    }
    const double widest = std::min(static_cast<double>(asked_.most_requests) / total, kLongestSeconds) / kSlosOfARun;
    while (!*fit && high * 4e-9 <= widest) {
      low = high;
      set(high = high * 4);
      TESSERA_ASSIGN_OR_RETURN(fit, fits(candidate, "a wider objective"));
      if (!fit) return ok_status();
    }
    if (!*fit) return ok_status();
    while (high / low > kSloPrecision) {
      set(std::sqrt(low * high));
      TESSERA_ASSIGN_OR_RETURN(fit, fits(candidate, "the smallest objective"));
      if (!fit) return ok_status();
      (*fit ? high : low) = static_cast<double>(candidate.slo->count());
    }
    answer_.smallest_slo = Duration(std::llround(high));
    return ok_status();
  }

  // On more devices everybody has more, so those present are measured there anew.
  Status find_devices() {
    std::size_t low = asked_.devices;
    std::size_t high = asked_.devices;
    bool fit = false;
    while (!fit && high < asked_.most_devices) {
      low = high;
      high = std::min(2 * high, asked_.most_devices);
      TESSERA_ASSIGN_OR_RETURN(const auto there, fits_on(high));
      if (!there) return ok_status();
      fit = *there;
    }
    if (!fit) return ok_status();
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      TESSERA_ASSIGN_OR_RETURN(const auto there, fits_on(middle));
      if (!there) return ok_status();
      (*there ? high : low) = middle;
    }
    answer_.devices = high;
    return ok_status();
  }

  Result<std::optional<bool>> fits_on(std::size_t devices) {
    Tallies before;
    const std::string about = std::to_string(devices) + " devices";
    if (!asked_.present.empty()) {
      TESSERA_ASSIGN_OR_RETURN(before, play(asked_.present, devices, about));
      if (before.empty()) return std::optional<bool>();
    }
    TESSERA_ASSIGN_OR_RETURN(const auto after, with(asked_.candidate, devices, about));
    return after ? std::optional(good(*after, before)) : std::optional<bool>();
  }

  const FitQuestion& asked_;
  const std::function<bool(const std::string&)>& go_on_;
  Tallies before_;
  FitAnswer answer_;
};

}  // namespace

Result<FitAnswer> fit(const FitQuestion& question, const std::function<bool(const std::string& about)>& go_on) {
  const loadgen::Tenant& candidate = question.candidate;
  if (!candidate.slo || !(candidate.rate > 0)) {
    return invalid_argument("whether '" + candidate.spec.name + "' fits needs its objective and its rate");
  }
  if (question.seeds < 1 || question.devices < 1 || question.devices_per_node < 1) {
    return invalid_argument("a question has at least one seed, one device and one device a node");
  }
  return Search(question, go_on).answer();
}

}  // namespace tessera::sim
