#include "tests/support/cuda/fake_cuda.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace tessera::device::test {
namespace {

constexpr std::chrono::microseconds kTick{20};
constexpr std::size_t kAlignment = 512;

struct Block {
  std::unique_ptr<std::byte[]> bytes;  // with room to align, and not touched: pools are large
  std::size_t size;
  bool of_host;
};

struct Description {
  Processors processors;
};

// A group of processors of a split, as CUdevResource carries it unseen.
struct Group {
  unsigned first;
  unsigned split;  // which split it is of
};

CUdevResource resource(unsigned first, unsigned count, unsigned split, unsigned smallest) {
  CUdevResource made{};
  made.type = CU_DEV_RESOURCE_TYPE_SM;
  const Group group{first, split};
  std::memcpy(made._internal_padding, &group, sizeof(group));
  made.sm = {count, smallest, smallest};
  return made;
}

Group group_of(const CUdevResource& resource) {
  Group group{};
  std::memcpy(&group, resource._internal_padding, sizeof(group));
  return group;
}

template <typename Fake, typename Handle>
Fake* as(Handle handle) {
  return reinterpret_cast<Fake*>(handle);
}

// Nodes in an order that their edges allow.
std::vector<FakeNode*> ordered(const FakeGraph& graph) {
  std::vector<FakeNode*> order;
  while (order.size() < graph.nodes.size()) {
    const std::size_t before = order.size();
    for (const auto& node : graph.nodes) {
      const auto placed = [&](const FakeNode* other) {
        return std::find(order.begin(), order.end(), other) != order.end();
      };
      const bool ready = std::all_of(graph.edges.begin(), graph.edges.end(),
                                     [&](const FakeEdge& edge) { return edge.to != node.get() || placed(edge.from); });
      if (ready && !placed(node.get())) {
        order.push_back(node.get());
      }
    }
    if (order.size() == before) {
      return {};  // a circle
    }
  }
  return order;
}

std::unique_ptr<FakeNode> copy_of(const FakeNode& node) {
  auto copy = std::make_unique<FakeNode>(node);
  copy->addresses.clear();
  for (auto& value : copy->values) {
    copy->addresses.push_back(value.data());
  }
  return copy;
}

FakeGraph copy_of(const FakeGraph& graph) {
  FakeGraph copy;
  std::map<const FakeNode*, FakeNode*> now;
  for (const auto& node : graph.nodes) {
    auto made = copy_of(*node);
    made->origin = node.get();
    now[node.get()] = made.get();
    copy.nodes.push_back(std::move(made));
  }
  for (const FakeEdge& edge : graph.edges) {
    copy.edges.push_back({now.at(edge.from), now.at(edge.to), edge.data});
  }
  return copy;
}

void set_values(FakeNode& node, void** values) {
  node.values.clear();
  node.addresses.clear();
  for (std::size_t i = 0; i < node.kernel->arguments.size(); ++i) {
    const auto* bytes = static_cast<const std::byte*>(values[i]);
    node.values.emplace_back(bytes, bytes + node.kernel->arguments[i]);
  }
  for (auto& value : node.values) {
    node.addresses.push_back(value.data());
  }
}

std::unique_ptr<FakeNode> kernel_node(FakeKernel* kernel, FakeContext* context, void** values) {
  auto node = std::make_unique<FakeNode>();
  node->type = CU_GRAPH_NODE_TYPE_KERNEL;
  node->context = context;
  node->kernel = kernel;
  node->launch.func = reinterpret_cast<CUfunction>(kernel);
  node->launch.kern = kernel->bound ? nullptr : reinterpret_cast<CUkernel>(kernel);
  set_values(*node, values);
  return node;
}

}  // namespace

// The entries, named as the table's members, called with mutex_ held.
struct FakeCuda::Impl {
  using Lock = std::unique_lock<std::mutex>;

  explicit Impl(const Options& wanted) : options(wanted) {
    for (unsigned i = 0; i < options.processors; ++i) {
      primary.processors.insert(i);
    }
    thread = std::thread([this] { run(); });
  }
  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      closing = true;
    }
    changed.notify_all();
    thread.join();
  }

  template <typename Method, typename... Arguments>
  static CUresult enter(const char* entry, Method method, Arguments... arguments) {
    if (current == nullptr) {
      return CUDA_ERROR_DEINITIALIZED;
    }
    Impl& impl = *current;
    Lock lock(impl.mutex);
    impl.calls.emplace_back(entry);
    const auto failure = impl.failures.find(entry);
    if (failure != impl.failures.end() && failure->second.second-- == 0) {
      const CUresult result = failure->second.first;
      impl.failures.erase(failure);
      return result;
    }
    if (impl.broken != CUDA_SUCCESS && std::string_view(entry) != "cuGetErrorName") {
      return impl.broken;
    }
    impl.held = &lock;
    return (impl.*method)(arguments...);
  }

  // ---- The card and its contexts

  CUresult init(unsigned) { return CUDA_SUCCESS; }
  CUresult get_error_name(CUresult result, const char** name) {
    *name = result == CUDA_ERROR_OUT_OF_MEMORY   ? "CUDA_ERROR_OUT_OF_MEMORY"
            : result == CUDA_ERROR_LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED"
                                                 : "CUDA_ERROR";
    return CUDA_SUCCESS;
  }
  CUresult driver_get_version(int* version) { return give(version, CUDA_VERSION); }
  CUresult device_get_count(int* count) { return give(count, options.gpus); }
  CUresult device_get(CUdevice* device, int ordinal) { return give(device, ordinal); }
  CUresult device_get_name(char* name, int length, CUdevice) {
    std::strncpy(name, "fake gpu", static_cast<std::size_t>(length));
    return CUDA_SUCCESS;
  }
  CUresult device_get_dev_resource(CUdevice, CUdevResource* all, CUdevResourceType) {
    return give(all, resource(0, options.processors, 0, options.group));
  }
  CUresult primary_ctx_retain(CUcontext* context, CUdevice) { return made(context, &primary); }
  CUresult primary_ctx_release(CUdevice) { return gone(); }
  CUresult ctx_get_current(CUcontext* context) {
    return give(context, stack().empty() ? nullptr : reinterpret_cast<CUcontext>(stack().back()));
  }
  CUresult ctx_set_current(CUcontext context) {
    stack().clear();
    stack().push_back(as<FakeContext>(context));
    return CUDA_SUCCESS;
  }
  CUresult ctx_push_current(CUcontext context) {
    stack().push_back(as<FakeContext>(context));
    return CUDA_SUCCESS;
  }
  CUresult ctx_pop_current(CUcontext* context) {
    *context = reinterpret_cast<CUcontext>(stack().back());
    stack().pop_back();
    return CUDA_SUCCESS;
  }
  CUresult sm_resource_split(CUdevResource* parts, unsigned* groups, const CUdevResource* all, CUdevResource* rest,
                             unsigned, unsigned smallest) {
    const unsigned possible = std::min(options.most_groups, all->sm.smCount / smallest);
    if (parts == nullptr) {
      return give(groups, possible);
    }
    *groups = std::min(*groups, possible);
    ++splits;
    for (unsigned i = 0; i < *groups; ++i) {
      parts[i] = resource(i * smallest, smallest, splits, smallest);
    }
    if (rest != nullptr) {
      *rest = resource(*groups * smallest, all->sm.smCount - *groups * smallest, splits, smallest);
    }
    return CUDA_SUCCESS;
  }
  CUresult resource_generate_desc(CUdevResourceDesc* description, CUdevResource* parts, unsigned count) {
    Description joined;
    for (unsigned i = 0; i < count; ++i) {
      if (group_of(parts[i]).split != group_of(parts[0]).split) {
        return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
      }
      for (unsigned at = 0; at < parts[i].sm.smCount; ++at) {
        joined.processors.insert(group_of(parts[i]).first + at);
      }
    }
    descriptions.push_back(std::make_unique<Description>(joined));
    *description = reinterpret_cast<CUdevResourceDesc>(descriptions.back().get());
    return CUDA_SUCCESS;
  }
  CUresult green_ctx_create(CUgreenCtx* green, CUdevResourceDesc description, CUdevice, unsigned) {
    contexts.push_back(std::make_unique<FakeContext>());
    *contexts.back() = {as<Description>(description)->processors, true};
    return made(green, contexts.back().get());
  }
  CUresult green_ctx_destroy(CUgreenCtx) { return gone(); }
  CUresult ctx_from_green_ctx(CUcontext* context, CUgreenCtx green) {
    return give(context, reinterpret_cast<CUcontext>(green));
  }

  // ---- Streams and events

  CUresult stream_create(CUstream* stream, unsigned flags) {
    streams.push_back(std::make_unique<FakeStream>());
    streams.back()->context = stack().empty() ? nullptr : stack().back();
    streams.back()->flags = flags;
    return streams.back()->context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : made(stream, streams.back().get());
  }
  CUresult stream_destroy(CUstream stream) {
    std::erase_if(streams, [&](const auto& one) { return one.get() == as<FakeStream>(stream); });
    return gone();
  }
  CUresult stream_wait_event(CUstream stream, CUevent event, unsigned) {
    FakeCommand command{.kind = FakeCommand::Kind::kWait};
    command.event = as<FakeEvent>(event);
    command.version = command.event->recorded;
    return queue(stream, std::move(command));
  }
  CUresult stream_write_value(CUstream stream, CUdeviceptr word, cuuint32_t value, unsigned) {
    FakeCommand command{.kind = FakeCommand::Kind::kWrite};
    command.word = reinterpret_cast<std::uint32_t*>(word);
    command.value = value;
    return queue(stream, std::move(command));
  }
  CUresult stream_synchronize(CUstream stream) {
    Lock& lock = *held;
    changed.wait(lock, [&] { return as<FakeStream>(stream)->queue.empty() || broken != CUDA_SUCCESS; });
    return broken;
  }
  CUresult stream_begin_capture(CUstream stream, CUstreamCaptureMode) {
    as<FakeStream>(stream)->capture = std::make_unique<FakeGraph>();
    return CUDA_SUCCESS;
  }
  CUresult stream_end_capture(CUstream stream, CUgraph* graph) {
    graphs.push_back(std::move(as<FakeStream>(stream)->capture));
    return made(graph, graphs.back().get());
  }
  CUresult event_create(CUevent* event, unsigned) {
    events.push_back(std::make_unique<FakeEvent>());
    return made(event, events.back().get());
  }
  CUresult event_destroy(CUevent) { return gone(); }
  CUresult event_record(CUevent event, CUstream stream) {
    FakeCommand command{.kind = FakeCommand::Kind::kRecord};
    command.event = as<FakeEvent>(event);
    command.version = ++command.event->recorded;
    return queue(stream, std::move(command));
  }
  CUresult event_query(CUevent event) {
    return as<FakeEvent>(event)->ended == as<FakeEvent>(event)->recorded ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
  }

  // ---- Graphs

  CUresult graph_destroy(CUgraph graph) {
    std::erase_if(graphs, [&](const auto& one) { return one.get() == as<FakeGraph>(graph); });
    return gone();
  }
  CUresult graph_clone(CUgraph* clone, CUgraph graph) {
    graphs.push_back(std::make_unique<FakeGraph>(copy_of(*as<FakeGraph>(graph))));
    return made(clone, graphs.back().get());
  }
  CUresult graph_get_nodes(CUgraph graph, CUgraphNode* nodes, std::size_t* count) {
    const auto& all = as<FakeGraph>(graph)->nodes;
    for (std::size_t i = 0; nodes != nullptr && i < std::min(*count, all.size()); ++i) {
      nodes[i] = reinterpret_cast<CUgraphNode>(all[i].get());
    }
    return give(count, all.size());
  }
  CUresult graph_destroy_node(CUgraphNode node) {
    for (const auto& graph : graphs) {
      std::erase_if(graph->edges, [&](const FakeEdge& edge) {
        return edge.from == as<FakeNode>(node) || edge.to == as<FakeNode>(node);
      });
      std::erase_if(graph->nodes, [&](const auto& one) { return one.get() == as<FakeNode>(node); });
    }
    return CUDA_SUCCESS;
  }
  CUresult graph_node_get_type(CUgraphNode node, CUgraphNodeType* type) { return give(type, as<FakeNode>(node)->type); }
  CUresult graph_node_find_in_clone(CUgraphNode* found, CUgraphNode node, CUgraph clone) {
    for (const auto& one : as<FakeGraph>(clone)->nodes) {
      if (one->origin == as<FakeNode>(node)) {
        return give(found, reinterpret_cast<CUgraphNode>(one.get()));
      }
    }
    return CUDA_ERROR_INVALID_VALUE;
  }
  CUresult neighbours(CUgraphNode node, bool before, CUgraphNode* nodes, CUgraphEdgeData* data, std::size_t* count) {
    std::size_t found = 0;
    for (const auto& graph : graphs) {
      for (const FakeEdge& edge : graph->edges) {
        if ((before ? edge.to : edge.from) != as<FakeNode>(node)) {
          continue;
        }
        if (nodes != nullptr) {
          nodes[found] = reinterpret_cast<CUgraphNode>(before ? edge.from : edge.to);
          data[found] = edge.data;
        }
        ++found;
      }
    }
    return give(count, found);
  }
  CUresult graph_node_get_dependencies(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* data,
                                       std::size_t* count) {
    return neighbours(node, true, nodes, data, count);
  }
  CUresult graph_node_get_dependents(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* data, std::size_t* count) {
    return neighbours(node, false, nodes, data, count);
  }
  CUresult graph_add_dependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                  const CUgraphEdgeData* data, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      as<FakeGraph>(graph)->edges.push_back({as<FakeNode>(from[i]), as<FakeNode>(to[i]), data[i]});
    }
    return CUDA_SUCCESS;
  }
  CUresult graph_kernel_node_get_params(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS* params) {
    *params = as<FakeNode>(node)->launch;
    params->kernelParams = as<FakeNode>(node)->addresses.data();
    params->ctx = reinterpret_cast<CUcontext>(as<FakeNode>(node)->context);
    return CUDA_SUCCESS;
  }
  // As the driver does it: with func set, kern and ctx count for nothing.
  static void set_params(FakeNode& node, const CUDA_KERNEL_NODE_PARAMS& params) {
    node.kernel = as<FakeKernel>(params.func != nullptr ? reinterpret_cast<void*>(params.func)
                                                        : reinterpret_cast<void*>(params.kern));
    if (params.func == nullptr) {
      node.context = as<FakeContext>(params.ctx);
    }
    if (params.kernelParams != node.addresses.data()) {
      set_values(node, params.kernelParams);
    }
  }
  CUresult graph_kernel_node_set_params(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params) {
    set_params(*as<FakeNode>(node), *params);
    return CUDA_SUCCESS;
  }
  CUresult graph_kernel_node_get_attribute(CUgraphNode node, CUkernelNodeAttrID, CUkernelNodeAttrValue* value) {
    value->cooperative = as<FakeNode>(node)->cooperative ? 1 : 0;
    return CUDA_SUCCESS;
  }
  CUresult graph_memset_node_get_params(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS* params) {
    return give(params, as<FakeNode>(node)->memset);
  }
  CUresult graph_memcpy_node_get_params(CUgraphNode node, CUDA_MEMCPY3D* params) {
    return give(params, as<FakeNode>(node)->copy);
  }
  CUresult add_node(CUgraphNode* added, CUgraph graph, FakeNode node, CUcontext context) {
    node.context = as<FakeContext>(context);
    as<FakeGraph>(graph)->nodes.push_back(std::make_unique<FakeNode>(std::move(node)));
    return give(added, reinterpret_cast<CUgraphNode>(as<FakeGraph>(graph)->nodes.back().get()));
  }
  CUresult graph_add_memset_node(CUgraphNode* added, CUgraph graph, const CUgraphNode*, std::size_t,
                                 const CUDA_MEMSET_NODE_PARAMS* params, CUcontext context) {
    FakeNode node;
    node.type = CU_GRAPH_NODE_TYPE_MEMSET;
    node.memset = *params;
    return add_node(added, graph, std::move(node), context);
  }
  CUresult graph_add_memcpy_node(CUgraphNode* added, CUgraph graph, const CUgraphNode*, std::size_t,
                                 const CUDA_MEMCPY3D* params, CUcontext context) {
    FakeNode node;
    node.type = CU_GRAPH_NODE_TYPE_MEMCPY;
    node.copy = *params;
    return add_node(added, graph, std::move(node), context);
  }
  CUresult graph_instantiate(CUgraphExec* exec, CUgraph graph, unsigned long long) {
    execs.push_back(std::make_unique<FakeExec>());
    FakeExec& one = *execs.back();
    one.graph = copy_of(*as<FakeGraph>(graph));
    one.order = ordered(one.graph);
    return one.order.size() == one.graph.nodes.size() ? made(exec, &one) : CUDA_ERROR_INVALID_VALUE;
  }
  CUresult graph_upload(CUgraphExec exec, CUstream) {
    as<FakeExec>(exec)->uploaded = true;
    return CUDA_SUCCESS;
  }
  CUresult graph_launch(CUgraphExec exec, CUstream stream) {
    FakeCommand command;
    command.exec = as<FakeExec>(exec);
    command.nodes = std::make_shared<FakeGraph>();
    for (const FakeNode* node : command.exec->order) {
      command.nodes->nodes.push_back(copy_of(*node));
    }
    return queue(stream, std::move(command));
  }
  CUresult graph_exec_destroy(CUgraphExec) { return gone(); }
  CUresult graph_exec_kernel_node_set_params(CUgraphExec exec, CUgraphNode node,
                                             const CUDA_KERNEL_NODE_PARAMS* params) {
    for (FakeNode* one : as<FakeExec>(exec)->order) {
      if (one->origin == as<FakeNode>(node)) {
        set_params(*one, *params);
        return CUDA_SUCCESS;
      }
    }
    return CUDA_ERROR_INVALID_VALUE;
  }

  // ---- Memory

  CUresult pointer_get_attribute(void* data, CUpointer_attribute, CUdeviceptr address) {
    for (const auto& [begin, block] : memory) {
      if (address >= begin && address < begin + block.size) {
        *static_cast<unsigned*>(data) = block.of_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        return CUDA_SUCCESS;
      }
    }
    return CUDA_ERROR_INVALID_VALUE;
  }
  CUresult occupancy_max_active_blocks(int* blocks, CUfunction function, int, std::size_t) {
    return give(blocks, as<FakeKernel>(function)->blocks_per_processor);
  }
  void* allocate(std::size_t size, bool of_host) {
    std::size_t room = size + kAlignment;
    Block block{std::make_unique_for_overwrite<std::byte[]>(room), size, of_host};
    void* data = block.bytes.get();
    data = std::align(kAlignment, size, data, room);
    memory.emplace(reinterpret_cast<CUdeviceptr>(data), std::move(block));
    return data;
  }
  // As the driver does it: waits for all that runs, since that may use the memory.
  CUresult release(CUdeviceptr address) {
    Lock& lock = *held;
    changed.wait(lock, [&] {
      return broken != CUDA_SUCCESS ||
             std::all_of(streams.begin(), streams.end(), [](const auto& stream) { return stream->queue.empty(); });
    });
    return memory.erase(address) == 1 ? gone() : CUDA_ERROR_INVALID_VALUE;
  }
  CUresult mem_host_alloc(void** data, std::size_t size, unsigned) { return made(data, allocate(size, true)); }
  CUresult mem_free_host(void* data) { return release(reinterpret_cast<CUdeviceptr>(data)); }
  CUresult mem_alloc(CUdeviceptr* data, std::size_t size) { return made(data, allocate(size, false)); }
  CUresult mem_free(CUdeviceptr data) { return release(data); }
  CUresult memset_d8_async(CUdeviceptr to, unsigned char value, std::size_t size, CUstream stream) {
    auto node = std::make_unique<FakeNode>();
    node->type = CU_GRAPH_NODE_TYPE_MEMSET;
    node->memset = {.dst = to, .pitch = 0, .value = value, .elementSize = 1, .width = size, .height = 1};
    return add(stream, std::move(node));
  }
  CUresult memcpy_dtod_async(CUdeviceptr to, CUdeviceptr from, std::size_t size, CUstream stream) {
    auto node = std::make_unique<FakeNode>();
    node->type = CU_GRAPH_NODE_TYPE_MEMCPY;
    node->copy.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
    node->copy.srcDevice = from;
    node->copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
    node->copy.dstDevice = to;
    node->copy.WidthInBytes = size;
    node->copy.Height = node->copy.Depth = 1;
    return add(stream, std::move(node));
  }

  // ---- Kernels

  CUresult library_load_data(CUlibrary* library, const void*, CUjit_option*, void**, unsigned, CUlibraryOption*, void**,
                             unsigned) {
    return made(library, this);
  }
  CUresult library_unload(CUlibrary) { return gone(); }
  CUresult library_get_kernel(CUkernel* kernel, CUlibrary, const char* name) {
    const auto found = std::find_if(kernels.begin(), kernels.end(), [&](const auto& one) { return one->name == name; });
    if (found == kernels.end()) {
      return CUDA_ERROR_NOT_FOUND;
    }
    return give(kernel, reinterpret_cast<CUkernel>(found->get()));
  }
  CUresult launch_kernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned tx, unsigned ty, unsigned tz,
                         unsigned shared, CUstream stream, void** values, void**) {
    auto node = kernel_node(as<FakeKernel>(function), nullptr, values);
    node->launch.gridDimX = x;
    node->launch.gridDimY = y;
    node->launch.gridDimZ = z;
    node->launch.blockDimX = tx;
    node->launch.blockDimY = ty;
    node->launch.blockDimZ = tz;
    node->launch.sharedMemBytes = shared;
    return add(stream, std::move(node));
  }

  // ---- How streams run

  // Work that is queued, or captured where the stream captures.
  CUresult add(CUstream handle, std::unique_ptr<FakeNode> node) {
    FakeStream& stream = *as<FakeStream>(handle);
    node->context = stream.context;
    if (stream.capture) {
      FakeGraph& graph = *stream.capture;
      if (!graph.nodes.empty()) {
        graph.edges.push_back({graph.nodes.back().get(), node.get(), {}});
      }
      graph.nodes.push_back(std::move(node));
      return CUDA_SUCCESS;
    }
    FakeCommand command;
    command.nodes = std::make_shared<FakeGraph>();
    command.nodes->nodes.push_back(std::move(node));
    return queue(handle, std::move(command));
  }
  CUresult queue(CUstream stream, FakeCommand command) {
    as<FakeStream>(stream)->queue.push_back(std::move(command));
    return CUDA_SUCCESS;
  }

  void run() {
    Lock lock(mutex);
    while (!closing) {
      bool moved = false;
      for (const auto& stream : streams) {
        while (broken == CUDA_SUCCESS && !stream->queue.empty() && step(stream->queue.front())) {
          stream->queue.pop_front();
          moved = true;
        }
      }
      if (moved) {
        changed.notify_all();
      }
      changed.wait_for(lock, kTick);
    }
  }

  // True: the command has ended.
  bool step(FakeCommand& command) {
    switch (command.kind) {
      case FakeCommand::Kind::kWait:
        return command.event->ended >= command.version;
      case FakeCommand::Kind::kRecord:
        command.event->ended = std::max(command.event->ended, command.version);
        return true;
      case FakeCommand::Kind::kWrite:
        std::atomic_ref(*command.word).store(command.value, std::memory_order_release);
        return true;
      case FakeCommand::Kind::kGraph:
        break;
    }
    if (!command.begun) {
      if (command.exec != nullptr && std::exchange(command.exec->running, true)) {
        return false;  // a graph does not run beside itself
      }
      command.begun = true;
    }
    const auto& nodes = command.nodes->nodes;
    while (command.next < nodes.size() && node_ended(command, *nodes[command.next])) {
      ++command.next;
    }
    if (command.next < nodes.size()) {
      return false;
    }
    if (command.exec != nullptr) {
      command.exec->running = false;
    }
    return true;
  }

  bool node_ended(FakeCommand& command, FakeNode& node) {
    if (node.type == CU_GRAPH_NODE_TYPE_MEMSET) {
      std::memset(reinterpret_cast<void*>(node.memset.dst), static_cast<int>(node.memset.value), node.memset.width);
    } else if (node.type == CU_GRAPH_NODE_TYPE_MEMCPY) {
      std::memcpy(reinterpret_cast<void*>(node.copy.dstDevice), reinterpret_cast<const void*>(node.copy.srcDevice),
                  node.copy.WidthInBytes);
    } else if (node.type == CU_GRAPH_NODE_TYPE_KERNEL && node.kernel->start) {
      if (!command.run) {
        command.run = node.kernel->start(node.addresses.data(), node.context->processors);
      }
      const auto state = command.run ? command.run->look() : FakeRun::State::kEnded;
      if (state == FakeRun::State::kTrapped) {
        broken = CUDA_ERROR_LAUNCH_FAILED;
        changed.notify_all();
      }
      if (state != FakeRun::State::kEnded) {
        return false;
      }
      command.run.reset();
    }
    return true;
  }

  // ---- Small things

  template <typename T, typename V>
  static CUresult give(T* to, V value) {
    *to = static_cast<T>(value);
    return CUDA_SUCCESS;
  }
  template <typename Handle, typename Fake>
  CUresult made(Handle* handle, Fake* fake) {
    *handle = reinterpret_cast<Handle>(fake);
    ++alive;
    return CUDA_SUCCESS;
  }
  CUresult gone() {
    --alive;
    return CUDA_SUCCESS;
  }
  // The calling thread's contexts, the current one last.
  std::vector<FakeContext*>& stack() { return stacks[std::this_thread::get_id()]; }

  const Options options;
  mutable std::mutex mutex;  // guards all below
  std::condition_variable changed;
  Lock* held = nullptr;  // the lock of the call that is being made
  std::vector<std::string> calls;
  std::map<std::string, std::pair<CUresult, int>, std::less<>> failures;
  CUresult broken = CUDA_SUCCESS;
  std::size_t alive = 0;
  unsigned splits = 0;
  FakeContext primary;
  std::map<std::thread::id, std::vector<FakeContext*>> stacks;
  // What was destroyed is kept where a command may still name it.
  std::vector<std::unique_ptr<Description>> descriptions;
  std::vector<std::unique_ptr<FakeContext>> contexts;
  std::vector<std::unique_ptr<FakeStream>> streams;
  std::vector<std::unique_ptr<FakeEvent>> events;
  std::vector<std::unique_ptr<FakeGraph>> graphs;
  std::vector<std::unique_ptr<FakeExec>> execs;
  std::vector<std::unique_ptr<FakeKernel>> kernels;
  std::map<CUdeviceptr, Block> memory;
  bool closing = false;
  std::thread thread;
};

FakeCuda::Impl* FakeCuda::current = nullptr;

FakeCuda::FakeCuda(const Options& options) : impl_(std::make_unique<Impl>(options)) { current = impl_.get(); }

FakeCuda::~FakeCuda() { current = nullptr; }

Driver FakeCuda::table() {
  Driver driver;
#define TESSERA_FAKE_ENTRY(member, entry) \
  driver.member = [](auto... arguments) -> CUresult { return Impl::enter(#entry, &Impl::member, arguments...); };
  TESSERA_CUDA_ENTRIES(TESSERA_FAKE_ENTRY)
#undef TESSERA_FAKE_ENTRY
  return driver;
}

FakeKernel* FakeCuda::add_kernel(FakeKernel kernel) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->kernels.emplace_back(std::make_unique<FakeKernel>(std::move(kernel))).get();
}

FakeKernel* FakeCuda::kernel(std::string_view name) {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& kernel : impl_->kernels) {
    if (kernel->name == name) {
      return kernel.get();
    }
  }
  return nullptr;
}

void FakeCuda::fail(std::string_view entry, CUresult result, int after) {
  const std::lock_guard lock(impl_->mutex);
  impl_->failures.insert_or_assign(std::string(entry), std::pair(result, after));
}

void FakeCuda::break_down(CUresult result) {
  const std::lock_guard lock(impl_->mutex);
  impl_->broken = result;
  impl_->changed.notify_all();
}

std::vector<std::string> FakeCuda::calls() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->calls;
}

std::size_t FakeCuda::count(std::string_view entry) const {
  const std::lock_guard lock(impl_->mutex);
  return static_cast<std::size_t>(std::count(impl_->calls.begin(), impl_->calls.end(), entry));
}

void FakeCuda::forget_calls() {
  const std::lock_guard lock(impl_->mutex);
  impl_->calls.clear();
}

std::size_t FakeCuda::alive() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->alive;
}

}  // namespace tessera::device::test
