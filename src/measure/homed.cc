#include "measure/homed.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <span>
#include <utility>

#include "measure/models.h"
#include "measure/numbers.h"

namespace tessera::measure {
namespace {

// The device as an engine sees it that builds, tunes and captures in one slice, and homes what it captured in the very
// context that it was captured in. Thread-safe as the device is.
class BuildsInSlice final : public device::CudaDevice {
 public:
  ~BuildsInSlice() override {
    stream_.reset();
    device_.gpu()->stream_is_back();
  }
  BuildsInSlice(const BuildsInSlice&) = delete;
  BuildsInSlice& operator=(const BuildsInSlice&) = delete;

  static Result<std::unique_ptr<BuildsInSlice>> make(device::CudaDevice& device, const Slice& slice) {
    TESSERA_ASSIGN_OR_RETURN(auto stream, device.gpu()->make_stream_in(slice, device::Gpu::Use::kLoader));
    return std::unique_ptr<BuildsInSlice>(new BuildsInSlice(device, slice, std::move(stream)));  // NOLINT: private
  }

  const DeviceShape& shape() const override { return shape_; }
  device::StagingPool& staging() override { return device_.staging(); }
  void set_sink(device::CompletionSink& sink) override { device_.set_sink(sink); }
  Result<device::Started> launch(const device::Launch& launch) override { return device_.launch(launch); }
  void run_here(LaunchId id) override { device_.run_here(id); }
  void cancel(LaunchId id) override { device_.cancel(id); }
  void retire(LaunchId id) override { device_.retire(id); }
  Status become_loader_thread() override { return device_.become_loader_thread(); }
  Result<Duration> run_borrowed(const device::Plan& plan, const Slice& slice, Batch& batch) override {
    return device_.run_borrowed(plan, slice, batch);
  }
  std::shared_ptr<device::Gpu> gpu() override { return device_.gpu(); }
  Result<CUcontext> context_of(const Slice& slice) override {
    return slice == shape_.loader ? device_.gpu()->context_of(slice, device::Gpu::Use::kLoader)
                                  : device_.context_of(slice);
  }
  CUstream loader_stream() override { return device_.loader_stream(); }
  CUstream homing_stream() override { return device_.homing_stream(); }
  CUstream build_stream() override { return stream_.get(); }
  Result<std::shared_ptr<device::StreamWorker>> worker_of(const Slice& slice) override {
    return device_.worker_of(slice);
  }
  bool reads_in_place(std::span<const std::byte> bytes) const override { return device_.reads_in_place(bytes); }
  std::optional<CUdeviceptr> slot_of(std::span<const std::byte> bytes) const override { return device_.slot_of(bytes); }
  bool can_copy(std::span<const std::byte> bytes) const override { return device_.can_copy(bytes); }
  Status copy(const device::Copy& copy) override { return device_.copy(copy); }

 private:
  BuildsInSlice(device::CudaDevice& device, const Slice& slice, device::OwnedStream stream)
      : device_(device), shape_(device.shape()), stream_(std::move(stream)) {
    shape_.loader = slice;
  }

  device::CudaDevice& device_;
  DeviceShape shape_;
  device::OwnedStream stream_;
};

// An engine that does so. The device goes last.
struct Native {
  std::unique_ptr<BuildsInSlice> device;
  std::unique_ptr<engine::CudaEngine> engine;
};

Result<Native> native_in(device::CudaDevice& device, engine::CudaEngine& engine, const Slice& slice) {
  TESSERA_ASSIGN_OR_RETURN(auto builds, BuildsInSlice::make(device, slice));
  const std::array others{engine.shared()};
  TESSERA_ASSIGN_OR_RETURN(auto made, engine::CudaEngine::create(*builds, others));
  return Native{std::move(builds), std::move(made)};
}

Status compare(device::CudaDevice& device, Model& homed, Model& native, HomedCell& cell, const HomedOptions& options) {
  std::array<Loop, 2> arms;
  TESSERA_ASSIGN_OR_RETURN(arms[0], homed.loop(cell.batch, {0}, cell.slice));
  TESSERA_ASSIGN_OR_RETURN(arms[1], native.loop(cell.batch, {0}, cell.slice));
  Loops runner(device);
  for (const Loop& arm : arms) {  // else both would mostly wait for them
    TESSERA_RETURN_IF_ERROR(runner.copy_inputs(*arm.batch));
  }
  std::array<std::vector<double>, 2> all;
  std::array<std::vector<std::byte>, 2> answers;
  for (int repetition = 0; repetition < options.repetitions; ++repetition) {
    std::array<std::vector<double>, 2> took;
    for (int run = 0; run < options.runs; ++run) {
      for (std::size_t arm = 0; arm < arms.size(); ++arm) {
        TESSERA_ASSIGN_OR_RETURN(const Duration one,
                                 device.run_borrowed(*arms[arm].plan, cell.slice, *arms[arm].batch));
        took[arm].push_back(ms(one));
        answers[arm] = answer_of(*arms[arm].batch);
      }
    }
    cell.ratios.push_back(median(took[0]) / median(took[1]));
    for (std::size_t arm = 0; arm < arms.size(); ++arm) {
      all[arm].insert(all[arm].end(), took[arm].begin(), took[arm].end());
    }
  }
  cell.homed_ms = median(all[0]);
  cell.native_ms = median(all[1]);
  cell.same_bits = answers[0] == answers[1];
  return ok_status();
}

}  // namespace

std::string to_json(const HomedCell& cell) {
  std::array<char, 400> text{};
  std::snprintf(text.data(), text.size(), R"({"model":"%s","batch":%d,"first":%d,"atoms":%d)", cell.model.c_str(),
                cell.batch, cell.slice.first, cell.slice.count);
  std::string json = text.data();
  if (!cell.refused.empty()) {
    std::string quoted = cell.refused;
    std::replace(quoted.begin(), quoted.end(), '"', '\'');
    return json + ",\"refused\":\"" + quoted + "\"}";
  }
  std::snprintf(text.data(), text.size(), R"(,"homed_ms":%.4f,"native_ms":%.4f,"ratio":%.4f,"same_bits":%s,"ratios":[)",
                cell.homed_ms, cell.native_ms, cell.ratio(), cell.same_bits ? "true" : "false");
  json += text.data();
  for (std::size_t i = 0; i < cell.ratios.size(); ++i) {
    std::snprintf(text.data(), text.size(), "%s%.4f", i > 0 ? "," : "", cell.ratios[i]);
    json += text.data();
  }
  return json + "]}";
}

Result<std::string> why_refused(device::CudaDevice& device, engine::CudaEngine& engine,
                                const std::filesystem::path& repository, const std::string& model) {
  TESSERA_ASSIGN_OR_RETURN(const auto loaded, Model::load(device, engine, repository, model, 1, {1}));
  const auto plan = loaded->loaded().prepare_home(1, {0}, device.shape().whole());
  if (!plan.ok() && plan.error().code() != ErrorCode::kUnsupported) {
    return plan.error();
  }
  return plan.ok() ? std::string() : plan.error().message();
}

Result<std::vector<HomedCell>> compare_homed(device::CudaDevice& device, engine::CudaEngine& engine,
                                             const HomedOptions& options,
                                             const std::function<void(const HomedCell&)>& tell) {
  const ModelOptions how{.uncaptured_in = {}, .digest = {}, .timed_choices = options.timed_choices};
  const std::int32_t most = *std::max_element(options.batches.begin(), options.batches.end());
  std::vector<HomedCell> cells;
  for (const std::string& name : options.names) {
    TESSERA_ASSIGN_OR_RETURN(const auto homed, Model::load(device, engine, options.models, name, most, {1}, how));
    for (const std::uint16_t size : options.sizes) {
      const Slice slice = size == 0 ? device.shape().whole() : Slice{0, size};
      TESSERA_ASSIGN_OR_RETURN(const Native native, native_in(device, engine, slice));
      TESSERA_ASSIGN_OR_RETURN(const auto there,
                               Model::load(*native.device, *native.engine, options.models, name, most, {2}, how));
      for (const std::int32_t batch : options.batches) {
        HomedCell cell{.model = name, .batch = batch, .slice = slice, .refused = {}};
        const Status done = compare(device, *homed, *there, cell, options);
        cell.refused = done.ok() ? "" : done.error().message();
        if (tell) {
          tell(cell);
        }
        cells.push_back(std::move(cell));
      }
    }
  }
  return cells;
}

}  // namespace tessera::measure
