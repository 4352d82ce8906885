// What the host device itself costs: from launch() to the start of the run and from its end to the sink, on a worker
// that sleeps, on one that asks for its next job itself, and on the caller's own thread; and a lease of request memory.
//
//   scripts/bench hand_over

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/affinity.h"
#include "base/clock.h"
#include "device/host/host_device.h"
#include "device/host/host_plan.h"

namespace tessera::bench {
namespace {

constexpr int kRounds = 20'000;
constexpr int kWarmUp = 500;

class Stamp final : public device::HostPlan {
 public:
  Status run(const Slice&, Batch&) const override {
    ran_at = now();
    return ok_status();
  }
  mutable TimePoint ran_at{};
};

class Sink final : public device::CompletionSink {
 public:
  void completed(const device::Completion& completion) override {
    at = now();
    if (next) {
      next(completion.id);
    }
    count.fetch_add(1);
    count.notify_one();
  }
  void device_down(const Error&) override { std::abort(); }

  std::function<void(LaunchId)> next;
  TimePoint at{};
  std::atomic<std::uint32_t> count{0};
};

class Samples {
 public:
  void add(Duration value) { values_.push_back(static_cast<double>(value.count()) * 1e-3); }
  void print(const char* name) {
    values_.erase(values_.begin(), values_.begin() + std::min<std::ptrdiff_t>(kWarmUp, std::ssize(values_)));
    std::sort(values_.begin(), values_.end());
    std::printf("%-58s p50 %8.2f us   p90 %8.2f us   p99 %8.2f us\n", name, at(0.50), at(0.90), at(0.99));
  }

 private:
  double at(double q) const { return values_[static_cast<std::size_t>(q * static_cast<double>(values_.size() - 1))]; }
  std::vector<double> values_;
};

struct Bench {
  Bench() {
    auto made = device::make_host_device({});
    if (!made.ok()) {
      std::fprintf(stderr, "%s\n", made.error().message().c_str());
      std::exit(1);
    }
    device = *std::move(made);
    device->set_sink(sink);
  }

  device::Started launch(Slice slice, bool here) {
    launched = now();
    return *device->launch({.id = {++id}, .slice = slice, .plan = &plan, .batch = &batch, .may_run_here = here});
  }

  Stamp plan;
  Batch batch;
  Sink sink;
  std::unique_ptr<device::Device> device;
  std::uint64_t id = 0;
  TimePoint launched{};
};

// The launching thread sleeps until the completion, as a thread that serves a connection would.
void sleeping_worker(Slice slice, Duration pause, const char* name) {
  Bench bench;
  Samples start;
  Samples end;
  const int rounds = pause > Duration::zero() ? kRounds / 20 : kRounds;
  for (int i = 0; i < rounds; ++i) {
    const std::uint32_t before = bench.sink.count;
    bench.launch(slice, false);
    bench.sink.count.wait(before);
    start.add(bench.plan.ran_at - bench.launched);
    end.add(bench.sink.at - bench.plan.ran_at);
    bench.device->retire({bench.id});
    if (pause > Duration::zero()) {
      std::this_thread::sleep_for(pause);
    }
  }
  start.print((std::string(name) + ": launch -> run").c_str());
  end.print((std::string(name) + ": run -> sink").c_str());
}

// The worker takes the role in the sink, as the dispatcher lets it, and launches its own next job.
void chained_worker() {
  Bench bench;
  Samples start;
  bench.sink.next = [&](LaunchId ended) {
    start.add(bench.plan.ran_at - bench.launched);
    bench.device->retire(ended);
    if (bench.id < kRounds) {
      bench.launch({0, 1}, false);
    }
  };
  bench.launch({0, 1}, false);
  while (bench.sink.count < kRounds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  start.print("worker launches its own next: launch -> run");
}

void caller(bool pinned) {
  Bench bench;
  Samples start;
  Samples whole;
  std::thread([&] {
    if (pinned) {
      CpuSet first;
      first.add(allowed_cpus()->list().front());
      static_cast<void>(pin_this_thread(first));
    }
    for (int i = 0; i < kRounds; ++i) {
      const std::uint16_t atom = bench.device->atom_here().value_or(0);
      if (bench.launch({atom, 1}, true) != device::Started::kRunHere) {
        std::abort();
      }
      bench.device->run_here({bench.id});
      whole.add(now() - bench.launched);
      start.add(bench.plan.ran_at - bench.launched);
      bench.device->retire({bench.id});
    }
  }).join();
  const std::string name = pinned ? "caller pinned to the core" : "caller not pinned";
  start.print((name + ": launch -> run").c_str());
  whole.print((name + ": launch -> back").c_str());
}

void staging(std::size_t size) {
  const auto pool = device::make_host_staging({});
  Samples cost;
  constexpr int kBatch = 16;
  for (int i = 0; i < kRounds; ++i) {
    const TimePoint begin = now();
    for (int j = 0; j < kBatch; ++j) {
      auto block = pool->lease(Bytes{size});
      (*block)->bytes()[0] = std::byte{1};
    }
    cost.add((now() - begin) / kBatch);
  }
  cost.print(("lease and return " + std::to_string(size) + " bytes").c_str());
}

int run() {
  sleeping_worker({0, 1}, Duration::zero(), "worker asleep, one core");
  sleeping_worker({1, 1}, Duration::zero(), "worker asleep, the other core");
  sleeping_worker({1, 1}, std::chrono::milliseconds(1), "the same, idle for 1 ms before");
  chained_worker();
  caller(true);
  caller(false);
  for (const std::size_t size : {300UL, 65536UL, 602112UL}) {
    staging(size);
  }
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main() { return tessera::bench::run(); }
