#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <queue>
#include <utility>
#include <vector>

#include "loadgen/arrivals.h"
#include "loadgen/random.h"
#include "sim/bounds.h"
#include "sim/forms.h"
#include "sim/tenants.h"

namespace tessera::sim {
namespace {

// Of one seed; more would take long, and the figure hardly depends on it.
constexpr double kMostRequests = 300'000;
// What leaving a request out is charged with, in what serving one costs in the mean. Every value gives a bound; the
// best of a few is taken.
constexpr std::array<double, 5> kPricesOfMisses = {1.0, 1.3, 1.7, 2.5, 5.0};
constexpr double kStep = 1.05;
constexpr double kLeastRate = 1e-3;
constexpr double kMostRate = 1e7;
constexpr double kSurely = 1.1;  // arrivals may be fewer than in the mean
constexpr double kForever = std::numeric_limits<double>::infinity();

struct Asked {
  double at = 0;  // seconds
  std::int32_t rows = 1;
};

// What is asked of the device for one request: processor-seconds between two moments.
struct Job {
  double from = 0;
  double deadline = 0;
  double work = 0;
};

// One tenant, and the least that batches of its requests cost.
class Batches {
 public:
  Batches(const std::vector<Form>& forms, double objective) : objective_(objective) {
    std::int32_t most = 1;
    for (const Form& form : forms) {
      most = std::max(most, form.rows);
      dearest_ = std::max(dearest_, form.processor_seconds);
    }
    steps_.resize(static_cast<std::size_t>(most) + 1);
    for (std::int32_t rows = 1; rows <= most; ++rows) {
      steps_[static_cast<std::size_t>(rows)] = staircase(forms, rows);
    }
  }

  std::int32_t most_rows() const { return static_cast<std::int32_t>(steps_.size()) - 1; }
  bool possible() const { return cost(1, objective_) < kForever; }

  // What each request costs at least, given that each may be left out for `price`: by how much the cheapest batches of
  // the requests up to it cost more than those up to its predecessor. Whatever is served, a batch costs no less than
  // its requests here, less `price` minus its own for each request that is left out.
  std::vector<double> costs(const std::vector<Asked>& asked, double price) const {
    std::vector<double> least(asked.size() + 1, 0);  // of the first so many
    std::vector<double> out(asked.size());
    for (std::size_t end = 1; end <= asked.size(); ++end) {
      double best = least[end - 1] + price;
      std::int32_t rows = 0;
      for (std::size_t first = end; first-- > 0;) {
        rows += asked[first].rows;
        const double time = objective_ - (asked[end - 1].at - asked[first].at);
        if (rows > most_rows() || time < fastest_) {
          break;
        }
        best = std::min(best, least[first] + cost(rows, time));
      }
      least[end] = best;
      out[end - 1] = std::max(0.0, best - least[end - 1]);
    }
    return out;
  }

  double objective() const { return objective_; }
  double least_of_a_row() const {
    double out = kForever;
    for (std::int32_t rows = 1; rows <= most_rows(); ++rows) {
      out = std::min(out, cost(rows, kForever) / rows);
    }
    return out;
  }
  // As much as no batch costs.
  double dearest() const { return dearest_; }

 private:
  struct Step {
    double time = 0;  // it takes, alone
    double cost = 0;  // processor-seconds
  };

  // The cheapest forms that hold so many rows, by time; each later one is cheaper.
  std::vector<Step> staircase(const std::vector<Form>& forms, std::int32_t rows) {
    std::vector<Step> all;
    for (const Form& form : forms) {
      if (form.rows >= rows) {
        all.push_back({form.alone, form.processor_seconds});
        fastest_ = std::min(fastest_, form.alone);
      }
    }
    std::sort(all.begin(), all.end(),
              [](const Step& a, const Step& b) { return a.time != b.time ? a.time < b.time : a.cost < b.cost; });
    std::vector<Step> out;
    for (const Step& step : all) {
      if (out.empty() || step.cost < out.back().cost) {
        out.push_back(step);
      }
    }
    return out;
  }

  double cost(std::int32_t rows, double time) const {
    double out = kForever;
    for (const Step& step : steps_[static_cast<std::size_t>(rows)]) {
      if (step.time > time) {
        break;
      }
      out = step.cost;
    }
    return out;
  }

  const double objective_;
  double fastest_ = kForever;
  double dearest_ = 0;
  std::vector<std::vector<Step>> steps_;  // by rows
};

// How much of the jobs' work cannot be done in time by so many processors that all work on whatever is most urgent:
// the least that any schedule leaves undone (Glover's rule for convex graphs, 1967). `jobs` ascend by `from`.
double left_undone(const std::vector<Job>& jobs, double processors) {
  const auto later = [](const Job& a, const Job& b) { return a.deadline > b.deadline; };
  std::priority_queue<Job, std::vector<Job>, decltype(later)> open(later);
  double now = 0;
  double undone = 0;
  const auto work_until = [&](double until) {
    while (!open.empty() && now < until) {
      Job job = open.top();
      open.pop();
      const double most = std::max(0.0, std::min(job.deadline, until) - now) * processors;
      const double done = std::min(job.work, most);
      now += done / processors;
      job.work -= done;
      if (job.work <= 0) {
        continue;
      }
      if (job.deadline <= until) {
        undone += job.work;
      } else {
        open.push(job);
        now = until;
      }
    }
    now = std::max(now, until);
  };
  for (const Job& job : jobs) {
    work_until(job.from);
    open.push(job);
  }
  work_until(kForever);
  return undone;
}

class Clairvoyant {
 public:
  Clairvoyant(double processors, const std::vector<loadgen::Tenant>& tenants, const loadgen::SearchOptions& how,
              std::uint64_t seed)
      : processors_(processors), tenants_(tenants), how_(how), seed_(seed) {}

  void add(std::size_t tenant, const std::vector<Form>& forms) {
    const double objective = std::chrono::duration<double>(*tenants_[tenant].slo).count();
    bounded_.push_back({tenant, Batches(forms, objective)});
  }

  bool nobody() const { return bounded_.empty(); }
  bool possible() const {
    return std::all_of(bounded_.begin(), bounded_.end(), [](const Bounded& one) { return one.batches.possible(); });
  }

  // A rate from which on a run asks for more than the device can do until its last objective has passed, however its
  // requests come; kMostRate where runs are too short for that.
  double too_high() const {
    double work = 0;  // a second, at a total rate of 1
    double after = 0;
    for (const Bounded& one : bounded_) {
      work += how_.attainment * tenants_[one.tenant].rate * one.batches.least_of_a_row();
      after = std::max(after, one.batches.objective());
    }
    double rate = processors_ / work;
    while (rate < kMostRate && rate * work * length(rate) < kSurely * processors_ * (length(rate) + after)) {
      rate *= kStep;
    }
    return rate;
  }

  // False: no schedule attains it.
  bool may_attain(double rate) const {
    std::array<double, kPricesOfMisses.size()> undone{};
    std::array<double, kPricesOfMisses.size()> allowed{};
    for (int run = 0; run < how_.seeds; ++run) {
      std::array<std::vector<Job>, kPricesOfMisses.size()> jobs;
      for (const Bounded& one : bounded_) {
        const auto asked = arrivals(one, rate, run);
        const double mean =
            sum(one.batches.costs(asked, one.batches.dearest())) / static_cast<double>(asked.size() + 1);
        for (std::size_t i = 0; i < kPricesOfMisses.size(); ++i) {
          const double price = kPricesOfMisses[i] * mean;
          allowed[i] += price * (1 - how_.attainment) * static_cast<double>(asked.size());
          const auto costs = one.batches.costs(asked, price);
          for (std::size_t k = 0; k < asked.size(); ++k) {
            jobs[i].push_back({asked[k].at, asked[k].at + one.batches.objective(), costs[k]});
          }
        }
      }
      for (std::size_t i = 0; i < kPricesOfMisses.size(); ++i) {
        std::sort(jobs[i].begin(), jobs[i].end(), [](const Job& a, const Job& b) { return a.from < b.from; });
        undone[i] += left_undone(jobs[i], processors_);
      }
    }
    for (std::size_t i = 0; i < kPricesOfMisses.size(); ++i) {
      if (undone[i] > allowed[i]) {
        return false;
      }
    }
    return true;
  }

 private:
  struct Bounded {
    std::size_t tenant = 0;
    Batches batches;
  };

  static double sum(const std::vector<double>& values) {
    double out = 0;
    for (const double value : values) {
      out += value;
    }
    return out;
  }

  double length(double rate) const {
    const double wanted = std::chrono::duration<double>(loadgen::run_length(tenants_, how_, rate)).count();
    return std::min(wanted, kMostRequests / rate);
  }

  std::vector<Asked> arrivals(const Bounded& one, double rate, int run) const {
    const loadgen::Tenant& tenant = tenants_[one.tenant];
    const double end = length(rate);
    const std::uint64_t seed = seed_ + static_cast<std::uint64_t>(run);
    const auto source =
        loadgen::make_arrivals(tenant.spec.process, tenant.rate * rate, loadgen::seed_of(seed, one.tenant));
    std::vector<Asked> out;
    for (;;) {
      const loadgen::ScheduledArrival next = source->next();
      const double at = std::chrono::duration<double>(next.at).count();
      if (at >= end) {
        return out;
      }
      out.push_back({at, std::min(std::max(next.rows, tenant.spec.rows), tenant.spec.max_batch)});
    }
  }

  const double processors_;
  const std::vector<loadgen::Tenant>& tenants_;
  const loadgen::SearchOptions& how_;
  const std::uint64_t seed_;
  std::vector<Bounded> bounded_;
};

}  // namespace

Result<double> clairvoyant_bound(const DeviceProfile& device, std::size_t devices,
                                 const std::vector<loadgen::Tenant>& tenants, const loadgen::SearchOptions& how,
                                 std::uint64_t seed) {
  TESSERA_ASSIGN_OR_RETURN(const auto models, tenant_models(device, tenants));
  const double processors = static_cast<double>(devices) * device.shape.processors_in(device.shape.whole());
  Clairvoyant bound(processors, tenants, how, seed);
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    if (tenants[i].slo && tenants[i].rate > 0) {
      bound.add(i, forms_of(device, models[i]));
    }
  }
  if (bound.nobody()) {
    return invalid_argument("no tenant has both a rate and an objective, so nothing bounds them");
  }
  if (!bound.possible()) {
    return 0.0;
  }
  // From above, as a rate may be too low for its requests to share batches, and a higher one not.
  double high = bound.too_high();
  double low = high / kStep;
  while (!bound.may_attain(low) && low > kLeastRate) {
    high = low;
    low /= kStep;
  }
  while (high > low * (1 + how.precision / 4)) {
    const double middle = std::sqrt(low * high);
    (bound.may_attain(middle) ? low : high) = middle;
  }
  return high;
}

}  // namespace tessera::sim
