// Inputs to the card: bare copies back to back, the same through the copy queue while kernels run in every atom, and a
// tenant with 150 KB inputs beside one that uploads 64 MB bodies without pause. Prints JSON.
//   bench_input_copies [cuda:N | fake] [seconds a part] [copies outstanding]
// "fake": over a driver in memory, to see that it works; its figures mean nothing.
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <variant>
#include <vector>

#include "bench/cuda_device/kit.h"
#include "sched/copy_queue.h"
#include "tests/support/cuda/fake_cuda.h"
#include "tests/support/cuda/fake_plan_kernels.h"
#include "tests/support/cuda/fake_probe_kernels.h"

namespace tessera::device::bench {
namespace {

constexpr std::size_t kImage = 602'112;
constexpr std::size_t kSmall = 150 << 10;
constexpr std::size_t kBody = 64 << 20;
constexpr std::size_t kWaiting = 16;  // requests that wait at any time
constexpr Duration kRun = milliseconds(5);
constexpr Duration kSmallEvery = microseconds(500);
constexpr Duration kSmallDeadline = milliseconds(2);

using Report = std::variant<Completion, CopyEnd>;

// What the device said, until the main thread takes it. Thread-safe.
class Reports final : public CompletionSink {
 public:
  void completed(const Completion& completion) override { put(completion); }
  void copied(const CopyEnd& end) override { put(end); }
  void device_down(const Error& reason) override {
    std::fprintf(stderr, "%s\n", reason.message().c_str());
    std::exit(1);
  }
  std::deque<Report> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(reports_, {});
  }

 private:
  void put(Report report) {
    const std::lock_guard lock(mutex_);
    reports_.push_back(std::move(report));
  }
  std::mutex mutex_;
  std::deque<Report> reports_;
};

double gigabytes_a_second(std::uint64_t bytes, Duration took) {
  return static_cast<double>(bytes) / static_cast<double>(took.count());
}

// The dispatcher's part: keeps a kernel running in every atom, and feeds the copy queue. Owned by the main thread.
class Card {
 public:
  Card(CudaDevice& device, ProbeKit& kit)
      : device_(device),
        plan_(kit, kRun),
        batches_(device.shape().atoms()),
        queue_(sched::copy_limits(device.shape().copies)) {
    device_.set_sink(reports_);
  }

  CudaDevice& device() { return device_; }
  std::unique_ptr<StagingBlock> lease(std::size_t size) { return must(device_.staging().lease({size})); }

  void keep_computing(bool on) {
    computing_ = on;
    for (std::uint16_t atom = 0; on && atom < device_.shape().atoms(); ++atom) {
      launch(atom);
    }
    while (!on && !running_.empty()) {
      look();
    }
  }

  // `done`: when its last byte was seen on the card.
  void submit(std::span<const std::byte> bytes, TimePoint deadline, std::function<void(TimePoint)> done) {
    const RequestId request{++last_request_};
    const sched::InputRange range{reinterpret_cast<std::uintptr_t>(bytes.data()), bytes.size()};
    TESSERA_CHECK(queue_.add(request, deadline, std::span(&range, 1)));
    done_[request] = std::move(done);
    issue();
  }

  void look() {
    for (const Report& report : reports_.take()) {
      if (const auto* end = std::get_if<CopyEnd>(&report)) {
        copy_ended(*end);
      } else {
        run_ended(std::get<Completion>(report));
      }
    }
  }
  bool idle() const { return done_.empty(); }

  std::uint64_t copies = 0;
  Samples issue_cpu;

 private:
  void issue() {
    while (const sched::PlannedCopy* copy = queue_.next(now())) {
      const TimePoint begin = now();
      const auto* from = reinterpret_cast<const std::byte*>(copy->range.at);
      must(device_.copy({copy->id, {from, static_cast<std::size_t>(copy->range.bytes)}}));
      issue_cpu.add(now() - begin);
      ++copies;
      for (const auto& part : copy->parts) {
        if (part.last) {
          last_copy_[copy->id].push_back(part.request);
        }
      }
    }
  }

  void copy_ended(const CopyEnd& end) {
    must(end.status);
    queue_.ended(end.id, end.ended);
    issue();  // first: the link waits for it
    const auto requests = last_copy_.extract(end.id);
    if (requests) {
      for (const RequestId request : requests.mapped()) {
        const auto done = done_.extract(request);
        done.mapped()(end.ended);
      }
    }
  }

  void run_ended(const Completion& completion) {
    must(completion.status);
    device_.retire(completion.id);
    const auto atom = running_.extract(completion.id.value).mapped();
    if (computing_) {
      launch(atom);
    }
  }

  void launch(std::uint16_t atom) {
    Batch& batch = batches_[atom];
    batch.bucket = atom;
    const LaunchId id{++last_launch_};
    running_[id.value] = atom;
    static_cast<void>(must(device_.launch({.id = id, .slice = {atom, 1}, .plan = &plan_, .batch = &batch})));
  }

  CudaDevice& device_;
  BenchPlan plan_;
  std::vector<Batch> batches_;
  sched::CopyQueue queue_;
  Reports reports_;
  bool computing_ = false;
  std::map<std::uint64_t, std::uint16_t> running_;  // atoms by launch
  std::map<RequestId, std::function<void(TimePoint)>> done_;
  std::map<CopyId, std::vector<RequestId>> last_copy_;
  std::uint64_t last_launch_ = 0;
  std::uint64_t last_request_ = 0;
};

// The link alone: copies of one size, one after the other on one stream.
double bare(Card& card, std::size_t size, Duration span) {
  CudaDevice& device = card.device();
  const Driver& driver = device.gpu()->driver();
  const CurrentContext current(*device.gpu());
  const auto block = card.lease(size);
  const CUdeviceptr to = *device.slot_of(block->bytes());
  const std::size_t at_once = std::max<std::size_t>(1, (256ULL << 20) / size);
  std::uint64_t bytes = 0;
  const TimePoint begin = now();
  while (now() - begin < span) {
    for (std::size_t i = 0; i < at_once; ++i) {
      must(driver.check(driver.memcpy_htod_async(to, block->bytes().data(), size, device.loader_stream()), "copy"));
    }
    must(driver.check(driver.stream_synchronize(device.loader_stream()), "copy"));
    bytes += at_once * size;
  }
  return gigabytes_a_second(bytes, now() - begin);
}

// kWaiting requests of that size wait at any time. `side_by_side`: as they were leased; else no two are neighbours.
double queued(Card& card, std::size_t size, bool side_by_side, Duration span) {
  std::vector<std::unique_ptr<StagingBlock>> blocks;
  const std::size_t step = side_by_side ? 1 : 2;  // or every other one, so that there is a gap
  while (blocks.size() < step * kWaiting) {
    blocks.push_back(card.lease(size));
  }
  std::uint64_t bytes = 0;
  const TimePoint begin = now();
  const TimePoint end = begin + span;
  TimePoint last = begin;
  std::function<void(std::size_t)> again = [&](std::size_t block) {
    card.submit(blocks[block]->bytes(), now() + milliseconds(10), [&, block](TimePoint at) {
      bytes += size;
      last = at;
      if (at < end) {
        again(block);
      }
    });
  };
  for (std::size_t block = 0; block < blocks.size(); block += step) {
    again(block);
  }
  while (!card.idle()) {
    card.look();
    pause_briefly();
  }
  return gigabytes_a_second(bytes, last - begin);
}

// From its arrival until it is on the card, of a 150 KB input; beside uploads where told so.
Samples small_inputs(Card& card, bool beside_uploads, Duration span) {
  Samples took;
  const auto small = card.lease(kSmall);
  const auto body = card.lease(kBody);
  const TimePoint end = now() + span;
  std::function<void()> upload = [&] {
    card.submit(body->bytes(), now() + std::chrono::seconds(1), [&](TimePoint at) {
      if (at < end) {
        upload();
      }
    });
  };
  if (beside_uploads) {
    upload();
  }
  bool waits = false;
  std::mt19937 random(1);
  for (TimePoint next = now(); now() < end || !card.idle();) {
    card.look();
    pause_briefly();
    if (!waits && now() >= next && now() < end) {
      waits = true;
      const TimePoint arrived = now();
      next = arrived + kSmallEvery + microseconds(random() % 100);
      card.submit(small->bytes(), arrived + kSmallDeadline, [&, arrived](TimePoint at) {
        took.add(at - arrived);
        waits = false;
      });
    }
  }
  return took;
}

void measure(Card& card, Duration span) {
  print("bare_150_kb_gb_s", std::to_string(bare(card, kSmall, span)));
  const double images = bare(card, kImage, span);
  print("bare_602_kb_gb_s", std::to_string(images));
  print("bare_64_mb_gb_s", std::to_string(bare(card, kBody, span)));
  for (const bool computing : {false, true}) {
    card.keep_computing(computing);
    const std::string beside = computing ? "_while_computing" : "";
    for (const bool side_by_side : {false, true}) {
      const std::string name = (side_by_side ? "queued_602_kb_neighbours" : "queued_602_kb") + beside;
      card.copies = 0;
      const double rate = queued(card, kImage, side_by_side, span);
      print(name + "_gb_s", std::to_string(rate));
      print(name + "_to_bare", std::to_string(rate / images));
      print(name + "_copies", std::to_string(card.copies));
    }
    print("small_alone" + beside + "_us", small_inputs(card, false, span).json());
    print("small_beside_64_mb" + beside + "_us", small_inputs(card, true, span).json());
  }
  card.keep_computing(false);
  print("issue_cpu_us", card.issue_cpu.json());
}

int run(const std::string& name, Duration span, std::optional<std::uint16_t> copies) {
  std::optional<test::FakeCuda> fake;
  if (name == "fake") {
    fake.emplace();
    test::add_probe_kernels(*fake);
    test::add_plan_kernels(*fake);
  }
  const Driver driver = fake ? test::FakeCuda::table() : must(Driver::open());
  CudaOptions options;
  options.copies = copies.value_or(options.copies);
  options.spec = fake ? CudaDeviceSpec{} : must(parse_cuda_devices(name)).front();
  {
    const auto gpu = must(Gpu::open(driver, options.spec.gpu));
    const auto device = must(make_cuda_device(gpu, options));
    std::printf("{\"gpu\": \"%s\"", fake ? "a driver in memory" : gpu->name().c_str());
    print("copies_outstanding", std::to_string(options.copies));
    ProbeKit kit(*device, 65536);
    Card card(*device, kit);
    measure(card, span);
  }
  std::printf("\n}\n");
  return 0;
}

}  // namespace
}  // namespace tessera::device::bench

int main(int argc, char** argv) {
  const double seconds = argc > 2 ? std::atof(argv[2]) : 1;
  return tessera::device::bench::run(
      argc > 1 ? argv[1] : "cuda:0", tessera::Duration(static_cast<tessera::Duration::rep>(seconds * 1e9)),
      argc > 3 ? std::optional(static_cast<std::uint16_t>(std::atoi(argv[3]))) : std::nullopt);
}
