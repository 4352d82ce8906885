// An engine without arithmetic: answers are copies of inputs, times come from a table, faults come on demand.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/engine.h"

namespace tessera::engine {

// What a test wants to happen next, whichever model it hits. Thread-safe.
class FakeFaults {
 public:
  void fail_next_load(Error error);
  void fail_next_run(Error error);  // kDeviceLost: as a fault of the processor

  // Runs that hang end: FakeDevice::wake().
  void end_hangs() { hangs_ended_.store(true); }
  bool hangs_ended() const { return hangs_ended_.load(); }

  std::optional<Error> take_load_fault();
  std::optional<Error> take_run_fault();

 private:
  std::mutex mutex_;
  std::optional<Error> load_;
  std::optional<Error> run_;
  std::atomic<bool> hangs_ended_{false};
};

// What the models of an engine take together. Thread-safe.
class FakeMemory {
 public:
  void set(std::optional<Bytes> size);  // nothing: as much as is asked for
  // Error: kOutOfMemory, naming what is needed and what is free.
  Status take(Bytes bytes);
  void give_back(Bytes bytes);

 private:
  std::mutex mutex_;
  std::optional<Bytes> size_;
  Bytes taken_{};
};

// Thread-safe. Models are text files (fake_model_file.h) under any name.
class FakeEngine final : public Engine {
 public:
  enum class Plans {
    kHost,        // for the host device: runs keep its cores busy, or asleep, for their time
    kFakeDevice,  // for the fake device, which keeps the time itself
  };

  explicit FakeEngine(Plans plans = Plans::kHost) : plans_(plans) {}

  const std::string& name() const override { return name_; }
  std::string version() const override { return "1"; }
  Result<FileSignature> inspect(const std::filesystem::path& file) override;
  Result<std::unique_ptr<LoadedModel>> load(const LoadOptions& options) override;
  bool captures() const override { return true; }  // models that say so

  FakeFaults& faults() { return *faults_; }
  FakeMemory& memory() { return *memory_; }

 private:
  const std::string name_ = "fake";
  const Plans plans_;
  const std::shared_ptr<FakeMemory> memory_ = std::make_shared<FakeMemory>();
  const std::shared_ptr<FakeFaults> faults_ = std::make_shared<FakeFaults>();
};

}  // namespace tessera::engine
