#include "bench/cuda_device/kit.h"

#include <map>

namespace tessera::device::bench {

void CardClock::read() {
  constexpr std::uint32_t kCalls = 1000;
  const Driver& driver = kit_.gpu()->driver();
  const MappedMemory memory(kit_.gpu(), sizeof(ProbeClock));
  auto* clock = memory.as<ProbeClock>();
  std::uint32_t calls = kCalls;
  void* values[] = {&clock, &calls};
  must(driver.check(
      driver.launch_kernel(kit_.kernels().function("tell_time"), 1, 1, 1, 1, 1, 1, 0, stream_, values, nullptr),
      "launch"));
  Reading reading;
  for (std::uint32_t call = 1; call <= kCalls; ++call) {
    const TimePoint asked = now();
    std::atomic_ref(clock->call).store(call);
    while (std::atomic_ref(clock->answer).load() != call) {
    }
    const TimePoint answered = now();
    if (answered - asked < reading.round_trip) {
      reading.round_trip = answered - asked;
      reading.card_ns = static_cast<double>(clock->ns);
      reading.offset_ns =
          static_cast<double>((asked + reading.round_trip / 2).time_since_epoch().count()) - reading.card_ns;
    }
  }
  must(driver.check(driver.stream_synchronize(stream_), "run"));
  before_ = after_;
  after_ = reading;
}

void closed_loop(const char* name, CudaDevice& device, const TimedPlan& plan, CardClock& clock, std::uint16_t slices,
                 int rounds) {
  struct Sample {
    std::uint64_t card_ns;
    TimePoint seen;
    TimePoint noticed;
  };
  Loop loop(device);
  std::vector<Batch> batches(slices);
  std::map<LaunchId, std::uint16_t> who;
  std::vector<Sample> samples;
  Samples whole;
  std::vector<TimePoint> begun(slices);
  const auto start = [&](std::uint16_t i) {
    batches[i].bucket = i;
    begun[i] = now();
    who[loop.launch(plan, {i, 1}, batches[i])] = i;
  };
  clock.read();
  for (std::uint16_t i = 0; i < slices; ++i) {
    start(i);
  }
  for (int left = rounds * slices; left > 0; --left) {
    const Completion completion = *loop.next();
    const TimePoint here = now();
    const std::uint16_t i = who.at(completion.id);
    who.erase(completion.id);
    samples.push_back({plan.ended_ns(batches[i]), completion.ended, here});
    whole.add(here - begun[i]);
    if (left > slices) {
      start(i);
    }
  }
  clock.read();
  Samples seen;
  Samples noticed;
  for (const Sample& sample : samples) {
    const double ended = clock.host_ns(sample.card_ns);
    seen.add((static_cast<double>(sample.seen.time_since_epoch().count()) - ended) / 1000);
    noticed.add((static_cast<double>(sample.noticed.time_since_epoch().count()) - ended) / 1000);
  }
  print(name, "{\"launch_cpu_us\":" + loop.launch_cpu.json() + ",\n  \"gpu_end_to_seen_us\":" + seen.json() +
                  ",\n  \"gpu_end_to_dispatcher_us\":" + noticed.json() + ",\n  \"round_us\":" + whole.json() +
                  ",\"clock_drift_us_per_s\":" + std::to_string(clock.drift_us_per_s()) + "}");
}

}  // namespace tessera::device::bench
