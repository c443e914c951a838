{
  'variables': {
    # 1 when the header is there; a static archive is preferred, since it leaves no run-time dependency.
    'have_liburing%': '<!(node scripts/liburing.mjs have)',
    'liburing%': '<!(node scripts/liburing.mjs link)',
    'sanitizer%': '',
  },
  'targets': [
    {
      'target_name': 'ackgate',
      'sources': [
        'native/addon.cc',
        'native/binding_functions.cc',
        'native/create_sender.cc',
        'native/descriptors.cc',
        'native/liburing_ring.cc',
        'native/owned_descriptors.cc',
        'native/pages.cc',
        'native/poller.cc',
        'native/posix_sender.cc',
        'native/result_table.cc',
        'native/sender_core.cc',
        'native/socket_ops.cc',
        'native/uring_sender.cc',
      ],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': [
        'NAPI_VERSION=8',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
        'HAVE_LIBURING=<(have_liburing)',
      ],
      'cflags': ['-Wall', '-Wextra', '-Wno-unused-parameter'],
      'cflags_cc': ['-std=c++17', '-fvisibility=hidden'],
      'conditions': [
        ['have_liburing==1', {'libraries': ['<(liburing)']}],
        ['sanitizer!=""', {
          'cflags': ['-fsanitize=<(sanitizer)', '-fno-omit-frame-pointer', '-g'],
          'ldflags': ['-fsanitize=<(sanitizer)'],
        }],
      ],
    },
  ],
}
