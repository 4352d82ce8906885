// What models cost on a GPU: loading, making plans, memory, and the time of a batch in slices of every size, whose
// answers have to be the same bits. Prints one line for each step on standard error and one JSON object on standard
// output.
//
// usage: bench_cuda_engine [--homed|--homed-by-rules] REPOSITORY [MODEL...]    (folders with 1/model.onnx, as
// bench/models.py makes them)
//
// --homed: instead, whether plans homed in a slice are as fast as plans that were tuned and captured in that slice, in
// slices of 1, 2, 4, 8 and all atoms, in three repetitions; one JSON object a line, as each comes. --homed-by-rules:
// algorithms are not searched for, in either.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "device/cuda/cuda_device.h"
#include "engine/onnxruntime/cuda/cuda_engine.h"
#include "engine/onnxruntime/cuda/cuda_model.h"
#include "engine/onnxruntime/cuda/trial_batch.h"
#include "measure/homed.h"
#include "measure/rows.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr int kRuns = 30;
constexpr std::array<std::int32_t, 5> kBuckets{1, 2, 4, 8, 16};
constexpr std::array<std::int32_t, 3> kHomedBuckets{1, 8, 16};
constexpr std::uint16_t kLanes = 2;

double ms(Duration span) { return static_cast<double>(span.count()) / 1e6; }

template <typename T>
T must(Result<T> result, const std::string& what) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s: %s\n", what.c_str(), result.error().message().c_str());
    std::exit(EXIT_FAILURE);
  }
  return std::move(result).value();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Ignore final : public device::CompletionSink {
  void completed(const device::Completion& /*completion*/) override {}
  void device_down(const Error& reason) override { std::fprintf(stderr, "device: %s\n", reason.message().c_str()); }
};

// One slice of each size, those at the lower end, and the left-over atom at the upper one.
std::vector<Slice> sizes(const DeviceShape& shape) {
  std::vector<Slice> slices;
  for (const Slice& slice : shape.ladder) {
    const bool first = slice.first == 0 && (slices.empty() || slices.back().count != slice.count);
    if (first || slice == Slice{static_cast<std::uint16_t>(shape.atoms() - 1), 1}) {
      slices.push_back(slice);
    }
  }
  return slices;
}

// Owned by the one thread there is.
class ModelBench {
 public:
  ModelBench(device::CudaDevice& device, engine::CudaEngine& engine, fs::path file)
      : device_(device), engine_(engine), file_(std::move(file)) {}

  std::string run() {
    engine::LoadOptions options;
    options.file = file_;
    options.max_batch_size = kBuckets.back();
    options.lanes = kLanes;
    const double free_mb = free_memory_mb();
    TimePoint at = now();
    auto loaded = engine_.load(options);
    if (!loaded.ok()) {
      return refused(loaded.error());
    }
    const double load_ms = ms(now() - at);
    const std::unique_ptr<engine::LoadedModel> model = *std::move(loaded);
    std::string buckets;
    engine::MemoryUse one;
    for (const std::int32_t bucket : kBuckets) {
      at = now();
      const auto first = model->prepare_home(bucket, {0}, device_.shape().whole());
      if (!first.ok()) {
        return refused(first.error());
      }
      const double first_ms = ms(now() - at);
      if (buckets.empty()) {
        one = model->memory();
      }
      at = now();
      const auto second = model->prepare_home(bucket, {1}, device_.shape().whole());
      if (!second.ok()) {
        return refused(second.error());
      }
      const double second_ms = ms(now() - at);
      buckets += (buckets.empty() ? "" : ",") + one_bucket(*model, bucket, first_ms, second_ms);
    }
    const engine::MemoryUse all = model->memory();
    const double shared = static_cast<double>(all.weights.value + all.packed.value) /
                          static_cast<double>(one.weights.value + one.packed.value);
    // Of every session, in the card's own books: what libraries keep for their kernels.
    const double outside = free_mb - free_memory_mb() - mb(all.held());
    std::array<char, 400> text{};
    std::snprintf(text.data(), text.size(),
                  R"("load_ms":%.1f,"weights_mb":%.1f,"packed_mb":%.2f,"working_mb":%.1f,"memory_mb":%.1f,)"
                  R"("of_one_session":%.4f,"outside_mb":%.1f)",
                  load_ms, mb(all.weights), mb(all.packed), mb(all.working), mb(all.held()), shared, outside);
    const std::string sessions = of_sessions(dynamic_cast<const engine::CudaModel&>(*model));
    std::fprintf(stderr, "  %s,%s\n", text.data(), sessions.c_str());
    return std::string("{") + text.data() + "," + sessions + ",\"buckets\":[" + buckets + "]}";
  }

 private:
  static double mb(Bytes bytes) { return static_cast<double>(bytes.value) / 1e6; }
  double free_memory_mb() const {
    std::size_t free = 0;
    std::size_t total = 0;
    TESSERA_CHECK(device_.gpu()->driver().mem_get_info(&free, &total) == CUDA_SUCCESS);
    return static_cast<double>(free) / 1e6;
  }

  // What each session has for itself, in the order in which they were made: initialisers by size, as asked for, and
  // what libraries took from the driver meanwhile.
  static std::string of_sessions(const engine::CudaModel& model) {
    std::string out;
    for (const engine::SessionCost& cost : model.sessions()) {
      std::string initialisers;
      for (std::size_t i = 0; i < cost.use.initialisers.size(); ++i) {
        const auto& alike = cost.use.initialisers[i];
        const bool last = i + 1 == cost.use.initialisers.size();
        initialisers +=
            (i == 0 ? "" : ",") + ("{\"up_to\":" + (last ? "null" : std::to_string(engine::SessionUse::kUpTo[i]))) +
            ",\"count\":" + std::to_string(alike.count) + ",\"bytes\":" + std::to_string(alike.bytes.value) + "}";
      }
      out += (out.empty() ? "" : ",") + ("{\"bucket\":" + std::to_string(cost.bucket)) + ",\"options\":\"" +
             cost.options + "\",\"outside_mb\":" + std::to_string(static_cast<double>(cost.outside) / 1e6) +
             ",\"initialiser_bytes\":" + std::to_string(cost.use.initialiser_room.value) +
             ",\"packed_again_bytes\":" + std::to_string(cost.use.packed_again.value) + ",\"initialisers\":[" +
             initialisers + "]}";
    }
    return "\"table_bytes\":" + std::to_string(model.tables().value) + ",\"sessions\":[" + out + "]";
  }

  static std::string refused(const Error& error) {
    std::fprintf(stderr, "  %s\n", error.message().c_str());
    return "{\"refused\":\"" + error.message() + "\"}";
  }

  std::string one_bucket(engine::LoadedModel& model, std::int32_t bucket, double first_ms, double second_ms) {
    auto trial = must(engine::TrialBatch::make(device_.staging(), model.signature(), bucket, bucket, true, 5), "input");
    std::vector<std::byte> expected;
    std::string slices;
    bool same = true;
    double home_ms = 0;
    for (const Slice& slice : sizes(device_.shape())) {
      const TimePoint at = now();
      const auto plan = model.prepare_home(bucket, {0}, slice);
      home_ms = ms(now() - at);
      if (!plan.ok()) {
        std::fprintf(stderr, "  bucket %d slice %d+%d: %s\n", bucket, slice.first, slice.count,
                     plan.error().message().c_str());
        continue;
      }
      std::vector<double> took;
      for (int run = 0; run < kRuns; ++run) {
        took.push_back(ms(must(device_.run_borrowed(**plan, slice, trial.batch()), "run")));
      }
      std::vector<std::byte> answer;
      for (const TensorView& output : trial.batch().outputs) {
        answer.insert(answer.end(), output.data.begin(), output.data.end());
      }
      same = same && (expected.empty() || answer == expected);
      expected = std::move(answer);
      std::array<char, 120> text{};
      std::snprintf(text.data(), text.size(), R"({"atoms":%d,"first":%d,"ms":%.4f})", slice.count, slice.first,
                    median(took));
      slices += (slices.empty() ? "" : ",") + std::string(text.data());
    }
    std::array<char, 200> text{};
    std::snprintf(text.data(), text.size(),
                  R"({"bucket":%d,"first_lane_ms":%.1f,"second_lane_ms":%.1f,"home_ms":%.2f,"same_bits":%s,"slices":[)",
                  bucket, first_ms, second_ms, home_ms, same ? "true" : "false");
    std::fprintf(stderr, "  %s%s]}\n", text.data(), slices.c_str());
    return text.data() + slices + "]}";
  }

  device::CudaDevice& device_;
  engine::CudaEngine& engine_;
  const fs::path file_;
};

// Streams are left for a native arm in each slice.
constexpr std::size_t kStreamsToRun = 8;

int compare_homed(device::CudaDevice& device, engine::CudaEngine& engine, const fs::path& models,
                  std::vector<std::string> names, bool timed_choices) {
  measure::HomedOptions options;
  options.timed_choices = timed_choices;
  options.models = models;
  options.names = std::move(names);
  options.batches = {kHomedBuckets.begin(), kHomedBuckets.end()};
  options.sizes = {1, 2, 4, 8, 0};
  measure::Scores scores;
  const auto cells = must(measure::compare_homed(device, engine, options,
                                                 [](const measure::HomedCell& cell) {
                                                   std::printf("%s\n", measure::to_json(cell).c_str());
                                                   std::fflush(stdout);
                                                 }),
                          "compare");
  measure::score(cells, scores);
  std::fputs(scores.table().c_str(), stderr);
  return EXIT_SUCCESS;
}

int run(int argc, char** argv) {
  const bool by_rules = argc > 1 && std::string_view(argv[1]) == "--homed-by-rules";
  const bool homed = by_rules || (argc > 1 && std::string_view(argv[1]) == "--homed");
  if (homed) {
    --argc;
    ++argv;
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_cuda_engine [--homed|--homed-by-rules] REPOSITORY [MODEL...]\n");
    return EXIT_FAILURE;
  }
  const device::Driver driver = must(device::Driver::open(), "driver");
  const std::shared_ptr<device::Gpu> gpu = must(device::Gpu::open(driver, 0), "gpu");
  device::CudaOptions cuda;
  cuda.streams = kStreamsToRun;
  const auto device = must(device::make_cuda_device(gpu, cuda), "device");
  Ignore ignore;
  device->set_sink(ignore);
  TESSERA_CHECK(device->become_loader_thread().ok());
  const auto engine = must(engine::CudaEngine::create(*device), "engine");
  std::vector<std::string> names(argv + 2, argv + argc);
  if (names.empty()) {
    for (const auto& entry : fs::directory_iterator(argv[1])) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
  }
  if (homed) {
    return compare_homed(*device, *engine, argv[1], std::move(names), !by_rules);
  }
  std::string models;
  for (const std::string& name : names) {
    std::fprintf(stderr, "%s\n", name.c_str());
    const std::string result = ModelBench(*device, *engine, fs::path(argv[1]) / name / "1" / "model.onnx").run();
    models += (models.empty() ? "" : ",\n") + ("\"" + name + "\":" + result);
  }
  std::printf("{\"gpu\":\"%s\",\"models\":{%s}}\n", gpu->name().c_str(), models.c_str());
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::run(argc, argv); }
