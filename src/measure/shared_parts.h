// A device and an engine that several services use one after the other, each as if they were its own: every arm runs
// the same loaded models, which take long to make ready.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "device/device.h"
#include "engine/engine.h"

namespace tessera::measure {

inline constexpr std::chrono::seconds kHomingPatience{60};
inline constexpr std::chrono::seconds kDrain{30};  // for what a service has on its way at the end

// What a service owns in place of `device`, which outlives it; says of it, where given, that an atom takes `committed`
// launches behind the running one. Thread-safe as its device is.
class BorrowedDevice final : public device::Device {
 public:
  BorrowedDevice(device::Device& device, std::optional<std::uint16_t> committed)
      : device_(device), shape_(device.shape()) {
    shape_.committed_per_atom = committed.value_or(shape_.committed_per_atom);
  }

  const DeviceShape& shape() const override { return shape_; }
  device::StagingPool& staging() override { return device_.staging(); }
  std::optional<std::uint16_t> atom_here() const override { return device_.atom_here(); }
  bool can_copy(std::span<const std::byte> bytes) const override { return device_.can_copy(bytes); }
  void set_sink(device::CompletionSink& sink) override { device_.set_sink(sink); }
  Status copy(const device::Copy& copy) override { return device_.copy(copy); }
  Result<device::Started> launch(const device::Launch& launch) override { return device_.launch(launch); }
  void run_here(LaunchId id) override { device_.run_here(id); }
  void cancel(LaunchId id) override { device_.cancel(id); }
  void retire(LaunchId id) override { device_.retire(id); }
  Status become_loader_thread() override { return device_.become_loader_thread(); }
  Result<Duration> run_borrowed(const device::Plan& plan, const Slice& slice, Batch& batch) override {
    return device_.run_borrowed(plan, slice, batch);
  }

 private:
  device::Device& device_;
  DeviceShape shape_;
};

// The models that were loaded, by file, and how far the current service has homed them. Each is built for `buckets`
// when it is loaded, as a server does once it serves: what its options are chosen by timing is the same for all
// services. Thread-safe.
class ModelStore {
 public:
  ModelStore(engine::Engine& engine, std::size_t slices, std::vector<std::int32_t> buckets = {})
      : engine_(engine), slices_(slices), buckets_(std::move(buckets)) {}

  engine::Engine& engine() { return engine_; }
  Result<std::shared_ptr<engine::LoadedModel>> model(const engine::LoadOptions& options);

  // What was loaded from that file; nullptr: nothing.
  std::shared_ptr<engine::LoadedModel> find(const std::string& file);
  void forget_homes();  // before the next service
  void note_home(const engine::LoadedModel* model, const Slice& slice);
  // Whether all of `models` models came to have all slices before nothing went on for `patience`.
  bool wait_until_homed(std::size_t models, std::chrono::seconds patience);

 private:
  engine::Engine& engine_;
  const std::size_t slices_;
  const std::vector<std::int32_t> buckets_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<engine::LoadedModel>> models_;
  std::map<const engine::LoadedModel*, std::set<Slice>> homes_;
};

// What a service owns in place of the store's engine. Thread-safe.
class BorrowedEngine final : public engine::Engine {
 public:
  explicit BorrowedEngine(ModelStore& store) : store_(store) {}

  const std::string& name() const override { return store_.engine().name(); }
  std::string version() const override { return store_.engine().version(); }
  Result<engine::FileSignature> inspect(const std::filesystem::path& file) override {
    return store_.engine().inspect(file);
  }
  Result<std::unique_ptr<engine::LoadedModel>> load(const engine::LoadOptions& options) override;
  Bytes copied_tensor_bytes() const override { return store_.engine().copied_tensor_bytes(); }

 private:
  ModelStore& store_;
};

}  // namespace tessera::measure
