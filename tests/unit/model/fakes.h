// A host, a device and an engine that do what a test says, and note what is asked of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "model/host.h"
#include "model/lifecycle.h"

namespace tessera::model {

using Lines = std::vector<std::string>;

// A folder that goes away with the test.
class Folder {
 public:
  Folder() {
    std::random_device random;
    path_ = std::filesystem::canonical(std::filesystem::temp_directory_path()) /
            ("tessera-test-" + std::to_string(random()) + std::to_string(random()));
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  std::filesystem::path write(const std::string& name, const std::string& content) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

 private:
  std::filesystem::path path_;
};

// What happened, in order. Thread-safe.
class Journal {
 public:
  void note(std::string event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  std::vector<std::string> events(const std::string& prefix = "") const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> found;
    std::copy_if(events_.begin(), events_.end(), std::back_inserter(found),
                 [&](const std::string& event) { return event.rfind(prefix, 0) == 0; });
    return found;
  }
  std::size_t count(const std::string& prefix) const { return events(prefix).size(); }
  // Waits until that many events with the prefix happened; ten seconds at most.
  bool wait(const std::string& prefix, std::size_t times) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return static_cast<std::size_t>(std::count_if(events_.begin(), events_.end(), [&](const std::string& event) {
               return event.rfind(prefix, 0) == 0;
             })) >= times;
    });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<std::string> events_;
};

inline std::string text_of(const Slice& slice) {
  return std::to_string(slice.first) + "+" + std::to_string(slice.count);
}

class FakePlan : public device::Plan {
 public:
  ModelSignature signature;
};

// Runs claim to take `per_row` a row, shared by the atoms, and do what `run` says before.
class FakeDevice : public device::Device {
 public:
  explicit FakeDevice(std::uint16_t atoms, Journal& journal) : journal_(journal) {
    shape_ = {"fake", std::vector<std::uint16_t>(atoms, 1), aligned_ladder(atoms), loader_slice(atoms)};
  }
  const DeviceShape& shape() const override { return shape_; }
  std::string hardware() const override { return card; }
  struct HeapStaging final : device::StagingPool {
    struct Block final : device::StagingBlock {
      explicit Block(std::size_t size) : memory(size) {}
      std::span<std::byte> bytes() override { return memory; }
      std::vector<std::byte> memory;
    };
    Result<std::unique_ptr<device::StagingBlock>> lease(Bytes size) override {
      auto block = std::make_unique<Block>(size.value);
      last = block->memory;
      return std::unique_ptr<device::StagingBlock>(std::move(block));
    }
    std::span<const std::byte> last;
  };
  device::StagingPool& staging() override { return staging_; }
  void set_sink(device::CompletionSink& /*sink*/) override {}
  Result<device::Started> launch(const device::Launch& /*launch*/) override { return unsupported("launch"); }
  void run_here(LaunchId /*id*/) override {}
  void cancel(LaunchId /*id*/) override {}
  void retire(LaunchId /*id*/) override {}
  Status become_loader_thread() override {
    loader = std::this_thread::get_id();
    return ok_status();
  }
  Result<Duration> run_borrowed(const device::Plan& plan, const Slice& slice, Batch& batch) override {
    journal_.note("run " + std::to_string(batch.rows) + " on " + text_of(slice));
    if (run) {
      if (Status status = run(slice, batch); !status.ok()) return status.error();
    }
    const ModelSignature& signature = static_cast<const FakePlan&>(plan).signature;
    if (batch.outputs.empty()) {
      for (const TensorSpec& output : signature.outputs) {
        batch.outputs.push_back({output.dtype, output.shape.with_first(batch.rows), {}});
      }
    }
    return per_row * batch.rows / slice.count;
  }

  std::string card = "a card, driver 1.0";
  std::function<Status(const Slice&, Batch&)> run;
  Duration per_row = std::chrono::milliseconds(1);
  std::thread::id loader;

 private:
  Journal& journal_;
  DeviceShape shape_;
  HeapStaging staging_;
};

class FakeHost : public Host {
 public:
  explicit FakeHost(std::uint16_t atoms = 4) : device_(atoms, journal) {}

  FakeDevice& device() override { return device_; }
  InstanceId next_instance_id() override { return {++last_id_}; }
  Status with_borrowed(const Slice& slice, Duration expected, const std::function<Status()>& step) override {
    EXPECT_GT(expected, Duration::zero() - Duration(1));
    EXPECT_FALSE(borrowed.exchange(true));
    if (on_borrow) on_borrow(slice);
    const Status status = step();
    borrowed = false;
    return status;
  }
  Status publish(std::shared_ptr<const Instance> instance, sched::Profile profile) override {
    if (refuse_publish) return unavailable("no room");
    const std::lock_guard lock(mutex_);
    published_.push_back(instance);
    profiles[instance->name] = std::move(profile);
    journal.note("publish " + instance->name + "/" + std::to_string(instance->version));
    return ok_status();
  }
  void slice_ready(const Instance& instance, const Slice& slice) override {
    journal.note("ready " + instance.name + " " + text_of(slice));
  }
  Status with_lane(const Instance& instance, LaneIndex lane, const std::function<Status()>& step) override {
    EXPECT_TRUE(borrowed.load());
    journal.note("lane " + instance.name + " " + std::to_string(lane.value));
    if (on_lane) on_lane();
    return step();
  }
  void plan_ready(const Instance& instance, const Slice& slice, std::int32_t bucket, LaneIndex lane) override {
    journal.note("plan " + instance.name + " " + std::to_string(bucket) + "." + std::to_string(lane.value) + "@" +
                 text_of(slice));
  }
  void measured(const Instance& instance, const Slice& slice, std::int32_t bucket, Duration /*took*/) override {
    journal.note("measured " + instance.name + " " + std::to_string(bucket) + "@" + text_of(slice));
  }
  void buckets_end(const Instance& instance, const std::string& cause) override {
    journal.note("end " + instance.name + " " + cause);
  }
  void reloaded(const Instance& instance) override {
    journal.note("reloaded " + instance.name + "/" + std::to_string(instance.version));
  }
  sched::Profile withdraw(const Instance& instance) override {
    const std::lock_guard lock(mutex_);
    journal.note("withdraw " + instance.name + "/" + std::to_string(instance.version));
    std::erase_if(published_, [&](const auto& other) { return other->id == instance.id; });
    return sched::Profile({{1, 1, std::chrono::microseconds(77)}});
  }

  std::optional<TimePoint> idle_since(const Instance& instance) override {
    const std::lock_guard lock(mutex_);
    ++looks;
    const auto found = last_used_.find(instance.name);
    return found == last_used_.end() ? TimePoint{} : found->second;
  }
  sched::Profile set_aside(const Instance& instance) override {
    journal.note("aside " + instance.name + "/" + std::to_string(instance.version));
    if (on_aside) on_aside(instance);
    return withdraw(instance);
  }
  void end_aside(const std::string& model, const Status& why) override {
    journal.note("end aside " + model + (why.ok() ? "" : ": " + why.error().message()));
  }
  void return_failed(const std::string& model, const Error& error) override {
    journal.note("return failed " + model + ": " + error.message());
  }

  // As idle_since() says; nothing: busy. Models that are not here have never been used.
  void use(const std::string& model, std::optional<TimePoint> at) {
    const std::lock_guard lock(mutex_);
    last_used_[model] = at;
  }

  std::vector<std::shared_ptr<const Instance>> serving() const {
    const std::lock_guard lock(mutex_);
    return published_;
  }
  std::shared_ptr<const Instance> serving(const std::string& name) const {
    const auto all = serving();
    const auto found = std::find_if(all.rbegin(), all.rend(), [&](const auto& i) { return i->name == name; });
    return found == all.rend() ? nullptr : *found;
  }

  Journal journal;
  std::atomic<bool> borrowed{false};
  std::function<void(const Slice&)> on_borrow;
  std::function<void()> on_lane;
  std::atomic<bool> refuse_publish{false};
  std::map<std::string, sched::Profile> profiles;
  std::function<void(const Instance&)> on_aside;
  std::atomic<int> looks{0};  // of idle_since()

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const Instance>> published_;
  std::map<std::string, std::optional<TimePoint>> last_used_;
  FakeDevice device_;
  std::uint32_t last_id_ = 0;
};

// How a model takes its slices.
struct HomeHabits {
  bool one_plan = true;
  bool warm = false;                   // needs no first run
  bool cheap = false;                  // captures while the slice is borrowed, homes without
  std::set<Slice> refused{};           // kUnsupported
  std::set<std::string> no_capture{};  // "bucket.lane"
  std::set<std::string> outdated{};    // likewise: once built, until it is captured a second time
  bool uncapturable = false;           // kUnsupported, every capture
};

class FakeModel : public engine::LoadedModel {
 public:
  FakeModel(engine::FileSignature signature, HomeHabits habits, std::optional<Slice> only,
            const std::atomic<bool>& borrowed, Journal& journal)
      : signature_(std::move(signature)),
        habits_(std::move(habits)),
        only_(only),
        borrowed_(borrowed),
        journal_(journal) {
    habits_.cheap = habits_.cheap && !only_;
    plan_.signature.outputs = signature_.outputs;
    for (TensorSpec& output : plan_.signature.outputs) {
      if (output.shape.rank() > 0) output.shape = output.shape.without_first();
    }
  }
  const engine::FileSignature& signature() const override { return signature_; }
  engine::MemoryUse memory() const override {
    return {.weights = {std::uint64_t{10} << 20}, .packed = {}, .working = {}, .per_home = {std::uint64_t{1} << 20}};
  }
  Result<const device::Plan*> prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override {
    EXPECT_TRUE(borrowed_.load() || habits_.cheap);
    const std::string key = std::to_string(bucket) + "." + std::to_string(lane.value) + "@" + text_of(slice);
    if (habits_.refused.contains(slice)) return unsupported("no room for a cluster");
    if (only_ && (slice != *only_ || lane.value != 0)) return unsupported("not there");
    if (homes_.insert(habits_.one_plan ? text_of(slice) : key).second) journal_.note("home " + key);
    return &plan_;
  }
  bool one_plan_per_slice() const override { return habits_.one_plan; }
  bool warm_when_homed() const override { return habits_.warm; }
  bool homes_cheaply() const override { return habits_.cheap; }
  std::optional<Slice> only_slice() const override { return only_; }
  Status build(std::int32_t bucket) override {
    built_.insert(bucket);
    EXPECT_TRUE(borrowed_.load());
    journal_.note("build " + std::to_string(bucket));
    return ok_status();
  }
  Status capture(std::int32_t bucket, LaneIndex lane) override {
    EXPECT_TRUE(borrowed_.load());
    const std::string key = std::to_string(bucket) + "." + std::to_string(lane.value);
    if (habits_.uncapturable) return unsupported("its run asks the host");
    if (habits_.no_capture.contains(key)) return Error(ErrorCode::kResourceExhausted, "no memory for " + key);
    if (captured_.insert(key).second) {
      journal_.note("capture " + key);
    } else if (outdated(bucket, lane) && renewed_.insert(key).second) {
      journal_.note("renew " + key);
    }
    return ok_status();
  }
  bool outdated(std::int32_t bucket, LaneIndex lane) const override {
    const std::string key = std::to_string(bucket) + "." + std::to_string(lane.value);
    return habits_.outdated.contains(key) && built_.contains(bucket) && !renewed_.contains(key);
  }

  std::shared_ptr<void> place;  // in the engine's memory

 private:
  const engine::FileSignature signature_;
  HomeHabits habits_;
  const std::optional<Slice> only_;
  const std::atomic<bool>& borrowed_;
  Journal& journal_;
  FakePlan plan_;
  std::set<std::int32_t> built_;
  std::set<std::string> renewed_;
  std::set<std::string> homes_;
  std::set<std::string> captured_;
};

// Model files are texts: "batched", "fixed", "free" (dimensions), "external FILE...", each with anything after a line's
// end; all else is broken.
class FakeEngine : public engine::Engine {
 public:
  explicit FakeEngine(FakeHost& host) : host_(host) {}

  const std::string& name() const override { return name_; }
  std::string version() const override { return version_number; }
  std::string options() const override { return option_names; }
  Result<engine::FileSignature> inspect(const std::filesystem::path& file) override {
    EXPECT_TRUE(host_.borrowed.load());
    std::ifstream in(file);
    std::string kind;
    std::string line;
    std::getline(in, line);
    std::istringstream words(line);
    words >> kind;
    if (on_inspect) on_inspect(file);
    engine::FileSignature signature{{{"x", DType::kFp32, {-1, 16}}}, {{"y", DType::kInt32, {-1, 4}}}, {}};
    if (kind == "fixed") {
      signature.inputs[0].shape = {1, 16};
      signature.outputs[0].shape = {1, 4};
    } else if (kind == "free") {
      signature.inputs[0].shape = {-1, 3, -1, -1};
    } else if (kind == "external") {
      for (std::string name; words >> name;) signature.external_data.push_back(name);
    } else if (kind != "batched") {
      return invalid_argument("no model: '" + kind.substr(0, 20) + "'");
    }
    return signature;
  }
  Result<std::unique_ptr<engine::LoadedModel>> load(const engine::LoadOptions& options) override {
    EXPECT_TRUE(host_.borrowed.load());
    EXPECT_EQ(options.digest.size(), 64U);
    EXPECT_EQ(std::this_thread::get_id(), host_.device().loader);
    host_.journal.note("load " + options.file.string());
    last_options = options;
    TESSERA_ASSIGN_OR_RETURN(auto signature, inspect(options.file));
    if (on_load) on_load(options);
    if (room->fetch_sub(1) <= 0) {
      room->fetch_add(1);
      return Error(ErrorCode::kOutOfMemory, "no memory left");
    }
    auto model =
        std::make_unique<FakeModel>(std::move(signature), habits, options.uncaptured_in, host_.borrowed, host_.journal);
    model->place = std::shared_ptr<void>(nullptr, [room = room](void* /*nothing*/) { room->fetch_add(1); });
    return std::unique_ptr<engine::LoadedModel>(std::move(model));
  }

  std::function<void(const std::filesystem::path&)> on_inspect;
  std::function<void(const engine::LoadOptions&)> on_load;
  engine::LoadOptions last_options;
  bool captures() const override { return habits.cheap; }
  std::string version_number = "1.0";
  std::string option_names = "nhwc";
  // For how many more models there is memory.
  const std::shared_ptr<std::atomic<int>> room = std::make_shared<std::atomic<int>>(1000);
  HomeHabits habits;

 private:
  FakeHost& host_;
  const std::string name_ = "fake";
};

// A lifecycle over one repository.
class LifecycleTest : public testing::Test {
 protected:
  explicit LifecycleTest(std::uint16_t atoms = 4) : host(atoms) { options.defaults.device_kind = "host"; }

  void begin(ControlMode control = ControlMode::kExplicit) {
    options.control = control;
    if (options.repositories.empty()) options.repositories = {repository.path()};
    lifecycle = std::make_unique<Lifecycle>(options, host, engine);
    started = lifecycle->start();
  }

  static Status wait_for(const std::function<void(std::function<void(Status)>)>& ask) {
    std::promise<Status> ended;
    ask([&](Status status) { ended.set_value(std::move(status)); });
    return ended.get_future().get();
  }
  Status load(const std::string& name) { return load(LoadRequest{name, std::nullopt, {}}); }
  Status load(LoadRequest request) {
    return wait_for([&](auto done) { lifecycle->load(std::move(request), std::move(done)); });
  }
  Status unload(const std::string& name) {
    return wait_for([&](auto done) { lifecycle->unload(name, std::move(done)); });
  }
  // "name version state reason" of every entry.
  std::vector<std::string> index() const {
    std::vector<std::string> lines;
    for (const IndexEntry& entry : lifecycle->index()) {
      lines.push_back(entry.name + " " + entry.version + " " + entry.state + " " + entry.reason);
    }
    return lines;
  }
  static std::string text(const Status& status) {
    return status.ok() ? "ok" : std::string(to_string(status.error().code())) + ": " + status.error().message();
  }

  Folder repository;
  FakeHost host;
  FakeEngine engine{host};
  LifecycleOptions options;
  std::unique_ptr<Lifecycle> lifecycle;
  Status started;
};

}  // namespace tessera::model
