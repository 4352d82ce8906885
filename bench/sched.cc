// CPU time of the scheduler per event (the column "CPU", this driver's heap and random numbers included): 100 models on
// one device of 16 atoms, every policy, at loads that the device carries and at one it does not.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "base/check.h"
#include "sched/journal.h"
#include "sched/policy.h"
#include "sched/scheduler.h"

namespace tessera {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kAtoms = 16;
constexpr int kSmsPerAtom = 8;
constexpr std::uint32_t kModels = 100;

// A device that takes exactly as long as the profile says, and arrivals as a Poisson process.
class Load {
 public:
  Load(const std::string& policy, double load) : scheduler_(shape(), make(policy), {}) {
    for (std::uint32_t m = 1; m <= kModels; ++m) {
      auto params = std::make_shared<sched::ModelParams>();
      params->name = "m" + std::to_string(m);
      params->max_batch_size = 16;
      params->buckets = {1, 2, 4, 8, 16};
      params->dynamic_batching = true;
      params->slo = 10ms + 1ms * (m % 30);
      std::vector<sched::ProfilePoint> points;
      for (const std::int32_t bucket : params->buckets) {
        for (const int sms : {8, 16, 32, 64, 96, 128}) {
          points.push_back({bucket, sms, latency(m, bucket, sms)});
        }
      }
      step(sched::ModelUp{InstanceId{m}, params, sched::Profile(points)});
      for (const Slice& slice : shape().ladder) {
        step(sched::SliceReady{InstanceId{m}, slice, {}, {}});
      }
      capacity_ += 1e9 / static_cast<double>(latency(m, 4, 8).count()) * 4 * kAtoms / kModels;
    }
    rate_ = load * capacity_;
    arrive();
  }

  // One event.
  void next() {
    const Due due = heap_.top();
    heap_.pop();
    now_ = std::max(now_, due.at);
    if (due.arrival) {
      arrive();
    } else {
      step(due.event);
    }
  }

 private:
  struct Due {
    TimePoint at;
    std::uint64_t sequence;
    bool arrival;
    sched::Event event;
    friend bool operator<(const Due& a, const Due& b) { return a.at != b.at ? a.at > b.at : a.sequence > b.sequence; }
  };

  static DeviceShape shape() {
    DeviceShape shape;
    shape.name = "bench";
    shape.processors.assign(kAtoms, kSmsPerAtom);
    shape.ladder = aligned_ladder(kAtoms);
    shape.loader = loader_slice(kAtoms);
    return shape;
  }
  static std::unique_ptr<sched::Policy> make(const std::string& name) {
    auto made = sched::make_policy(name);
    TESSERA_CHECK(made.ok());
    return std::move(made).value();
  }
  static Duration latency(std::uint32_t model, std::int32_t bucket, std::int32_t sms) {
    const double row_ms = 4.0 + model % 10;  // on one SM
    return Duration(static_cast<Duration::rep>((0.3 + row_ms * bucket / sms) * 1e6));
  }

  void arrive() {
    sched::Arrival arrival;
    arrival.request = RequestId{next_request_++};
    arrival.instance = InstanceId{static_cast<std::uint32_t>(1 + random_() % kModels)};
    arrival.arrival = now_;
    const double uniform = (static_cast<double>(random_() >> 11) + 0.5) / 9007199254740992.0;
    heap_.push({now_ + Duration(static_cast<Duration::rep>(-std::log(uniform) / rate_ * 1e9)), sequence_++, true, {}});
    step(arrival);
  }

  void step(const sched::Event& event) {
    actions_.clear();
    scheduler_.on_event(event, now_, actions_);
    for (const sched::Action& action : actions_) {
      if (const auto* launch = std::get_if<sched::StartLaunch>(&action)) {
        const TimePoint end = now_ + latency(launch->instance.value, launch->bucket, launch->slice.count * kSmsPerAtom);
        heap_.push({end, sequence_++, false, sched::LaunchEnded{launch->launch, true, true, now_, end}});
      } else if (const auto* timer = std::get_if<sched::SetTimer>(&action); timer != nullptr && timer->at != kNever) {
        heap_.push({timer->at, sequence_++, false, sched::TimerFired{}});
      }
    }
  }

  sched::Scheduler scheduler_;
  TimePoint now_{};
  std::priority_queue<Due> heap_;
  std::uint64_t sequence_ = 0;
  std::uint64_t next_request_ = 1;
  double capacity_ = 0;
  double rate_ = 0;
  std::mt19937_64 random_{7};
  sched::Actions actions_;
};

void measure_event(benchmark::State& state, const std::string& policy) {
  Load load(policy, static_cast<double>(state.range(0)) / 100.0);
  for (int i = 0; i < 20000; ++i) {
    load.next();
  }
  for (auto _ : state) {
    load.next();
  }
}
BENCHMARK_CAPTURE(measure_event, tessera, "tessera")->Arg(50)->Arg(80)->Arg(150);
BENCHMARK_CAPTURE(measure_event, temporal, "temporal")->Arg(20)->Arg(80);
BENCHMARK_CAPTURE(measure_event, fixed, "fixed")->Arg(50)->Arg(80);
BENCHMARK_CAPTURE(measure_event, gslice, "gslice")->Arg(50)->Arg(80);
BENCHMARK_CAPTURE(measure_event, dstack, "dstack")->Arg(50)->Arg(80);

// What recording adds to a step: an arrival that launches a batch, written into memory.
void record(benchmark::State& state) {
  const sched::Event event = sched::Arrival{.request = {123'456},
                                            .instance = {17},
                                            .shape = {3},
                                            .arrival = TimePoint(Duration(1'234'567'890'123)),
                                            .timeout = std::nullopt,
                                            .poster_atom = std::nullopt};
  sched::StartLaunch launch{{4567}, {17}, {}, 4, 4, {1}, {4, 2}, Duration(2'345'678)};
  for (std::uint64_t i = 0; i < 4; ++i) {
    launch.requests.push_back({123'450 + i});
  }
  const sched::Actions actions = {launch, sched::SetTimer{TimePoint(Duration(1'234'569'000'000))}};
  std::string journal;
  for (auto _ : state) {
    journal.clear();
    sched::write_step(0, TimePoint(Duration(1'234'567'891'000)), event, actions, journal);
    benchmark::DoNotOptimize(journal.data());
  }
  state.counters["bytes"] = static_cast<double>(journal.size());
}
BENCHMARK(record);

}  // namespace
}  // namespace tessera

BENCHMARK_MAIN();
